//! `hearth usage`: sums of requests, tokens and costs.

pub(crate) mod limit;
mod output;

use hearth_wire::native::usage::UsageBody;

use crate::{
    client::{connection::Connection, gateway_client::GatewayClient, terminal},
    context::Context,
};

/// Show how much was used, and what it cost
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hearth usage                                  # this month's, by day
  hearth usage --by model,provider
  hearth usage --all --by user --from 2026-10-01 --to 2026-10-31
  hearth usage --all --by day,model --csv > usage.csv

--all shows everybody's in the organisation, to its owners, admins and auditors.")]
pub(crate) struct Usage {
    /// Dimensions of the sums: day, model, provider, token, user, team
    #[arg(long, value_name = "DIMENSION", value_delimiter = ',', default_value = "day")]
    by: Vec<String>,
    /// First day in UTC; without it: the first of the month
    #[arg(long, value_name = "DAY")]
    from: Option<String>,
    /// Last day in UTC; without it: today
    #[arg(long, value_name = "DAY")]
    to: Option<String>,
    /// Everybody's usage in the organisation
    #[arg(long)]
    all: bool,
    /// Write comma-separated values
    #[arg(long)]
    csv: bool,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

impl Usage {
    /// Runs the command.
    ///
    /// # Errors
    /// No gateway, or an error of the gateway.
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<()> {
        let gateway = GatewayClient::new(&context.connection)?;
        let by = self.by.join(",");
        let mut query = vec![("by", by.as_str())];
        query.extend(self.from.as_deref().map(|from| ("from", from)));
        query.extend(self.to.as_deref().map(|to| ("to", to)));
        if self.all {
            query.push(("of", "organisation"));
        }
        let usage: UsageBody = gateway.get(&["v1", "usage"], &query).await?;
        if self.csv {
            return Ok(terminal::print(&usage.to_csv())?);
        }
        output::print(&usage, context.connection.json)
    }
}
