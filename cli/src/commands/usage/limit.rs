//! `hearth limit`: lists, sets and removes limits of requests, tokens and money.

use clap::builder::PossibleValuesParser;
use hearth_domain::{Cost, Limits};
use hearth_wire::native::limits::{BudgetBody, LimitBody, LimitList, SetLimits};
use serde_json::json;

use crate::{
    client::{connection::Connection, gateway_client::GatewayClient, table::Table, terminal},
    context::Context,
};

const KINDS: [&str; 6] = ["token", "access_key", "user", "team", "organisation", "operator"];

/// List, set and remove limits of requests, tokens and money
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hearth limit list                             # those that hold for you, with what their budgets have left
  hearth limit list --all
  hearth limit set user usr_01J... --requests-per-minute 60 --dollars-per-month 40
  hearth limit set token tok_01J... --tokens-per-day 100000
  hearth limit remove user usr_01J...

`set` replaces all limits of its subject. Those of the organisation itself are set by its owners; `operator ORGANISATION` sets \
limits of an organisation that hold besides, as the gateway's operator.")]
pub(crate) struct Limit {
    #[command(subcommand)]
    command: LimitCommand,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// Commands for limits.
#[derive(Debug, clap::Subcommand)]
enum LimitCommand {
    /// Show limits
    List {
        /// All that are set in the organisation
        #[arg(long)]
        all: bool,
    },
    /// Set the limits of a subject, in place of its earlier ones
    Set(Box<Set>),
    /// Remove the limits of a subject
    Remove {
        /// The kind of the subject
        #[arg(value_name = "KIND", value_parser = PossibleValuesParser::new(KINDS))]
        kind: String,
        /// Its id
        #[arg(value_name = "ID")]
        id: String,
    },
}

/// Limits to set.
#[derive(Debug, clap::Args)]
struct Set {
    /// The kind of the subject
    #[arg(value_name = "KIND", value_parser = PossibleValuesParser::new(KINDS))]
    kind: String,
    /// Its id
    #[arg(value_name = "ID")]
    id: String,
    /// Requests in a minute
    #[arg(long, value_name = "COUNT")]
    requests_per_minute: Option<u32>,
    /// Requests in an hour
    #[arg(long, value_name = "COUNT")]
    requests_per_hour: Option<u32>,
    /// Tokens in a minute
    #[arg(long, value_name = "COUNT")]
    tokens_per_minute: Option<u32>,
    /// Budget of tokens for a day
    #[arg(long, value_name = "COUNT")]
    tokens_per_day: Option<u64>,
    /// Budget of tokens for a month
    #[arg(long, value_name = "COUNT")]
    tokens_per_month: Option<u64>,
    /// Budget of US dollars for a day
    #[arg(long, value_name = "DOLLARS")]
    dollars_per_day: Option<Cost>,
    /// Budget of US dollars for a month
    #[arg(long, value_name = "DOLLARS")]
    dollars_per_month: Option<Cost>,
}

impl Limit {
    /// Runs the command.
    ///
    /// # Errors
    /// No gateway, or an error of the gateway.
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<()> {
        let (gateway, json) = (GatewayClient::new(&context.connection)?, context.connection.json);
        match self.command {
            LimitCommand::List { all } => {
                let query: &[(&str, &str)] = if all { &[("of", "organisation")] } else { &[] };
                print_list(&gateway.get(&["v1", "limits"], query).await?, json)
            }
            LimitCommand::Set(set) => {
                let (kind, id) = (set.kind.clone(), set.id.clone());
                let limits = SetLimits(set.limits());
                let body: LimitBody = gateway.put_json(&["v1", "limits", &kind, &id], &limits).await?;
                print_list(&LimitList { data: vec![body] }, json)
            }
            LimitCommand::Remove { kind, id } => {
                gateway.delete(&["v1", "limits", &kind, &id]).await?;
                if json {
                    return terminal::print_json(&json!({"kind": kind, "id": id, "removed": true}));
                }
                Ok(terminal::print_line(&format!("{kind} {id} has no limits of its own"))?)
            }
        }
    }
}

impl Set {
    fn limits(self) -> Limits {
        Limits {
            requests_per_minute: self.requests_per_minute,
            requests_per_hour: self.requests_per_hour,
            tokens_per_minute: self.tokens_per_minute,
            tokens_per_day: self.tokens_per_day,
            tokens_per_month: self.tokens_per_month,
            dollars_per_day: self.dollars_per_day,
            dollars_per_month: self.dollars_per_month,
        }
    }
}

fn print_list(list: &LimitList, json: bool) -> anyhow::Result<()> {
    if json {
        return terminal::print_json(list);
    }
    if list.data.is_empty() {
        terminal::note("nothing is limited");
        return Ok(());
    }
    Ok(terminal::print(&table(&list.data).fitted(terminal::columns()))?)
}

fn table(limits: &[LimitBody]) -> Table<5> {
    let mut table = Table::new(["KIND", "ID", "LIMIT", "SPENT", "RESERVED"]);
    for body in limits {
        for [limit, spent, reserved] in rows(body) {
            table.push([body.kind.clone(), body.id.clone(), limit, spent, reserved]);
        }
    }
    table
}

/// A row for each limit of a subject.
fn rows(body: &LimitBody) -> Vec<[String; 3]> {
    let budget = |period: &str| body.budgets.iter().find(|budget| budget.period == period);
    let tokens = |budget: &BudgetBody| [budget.tokens_spent.to_string(), budget.tokens_reserved.to_string()];
    let dollars = |budget: &BudgetBody| [budget.dollars_spent.clone(), budget.dollars_reserved.clone()];
    let limits = &body.limits;
    let text = |limit: Option<String>, unit: &str| limit.map(|limit| format!("{limit} {unit}"));
    let count = |limit: Option<u32>| limit.map(|limit| limit.to_string());
    let large = |limit: Option<u64>| limit.map(|limit| limit.to_string());
    let money = |limit: Option<Cost>| limit.map(|limit| limit.to_string());
    let none = || [String::new(), String::new()];
    let day = || budget("day");
    let month = || budget("month");
    [
        (text(count(limits.requests_per_minute), "requests per minute"), none()),
        (text(count(limits.requests_per_hour), "requests per hour"), none()),
        (text(count(limits.tokens_per_minute), "tokens per minute"), none()),
        (text(large(limits.tokens_per_day), "tokens per day"), day().map_or_else(none, tokens)),
        (text(large(limits.tokens_per_month), "tokens per month"), month().map_or_else(none, tokens)),
        (text(money(limits.dollars_per_day), "dollars per day"), day().map_or_else(none, dollars)),
        (text(money(limits.dollars_per_month), "dollars per month"), month().map_or_else(none, dollars)),
    ]
    .into_iter()
    .filter_map(|(limit, [spent, reserved])| Some([limit?, spent, reserved]))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_has_a_row_for_each_limit() {
        let body = LimitBody {
            kind: "user".to_owned(),
            id: "usr_1".to_owned(),
            limits: Limits {
                requests_per_minute: Some(60),
                dollars_per_month: Some("40".parse().unwrap()),
                ..Limits::default()
            },
            budgets: vec![BudgetBody {
                period: "month".to_owned(),
                ends_at: "2026-12-01T00:00:00.000Z".to_owned(),
                tokens_spent: 7,
                tokens_reserved: 0,
                dollars_spent: "0.25".to_owned(),
                dollars_reserved: "0.01".to_owned(),
            }],
        };
        let rows: Vec<String> = rows(&body).into_iter().map(|row| row.join("|")).collect();
        assert_eq!(rows, ["60 requests per minute||", "40 dollars per month|0.25|0.01"]);
    }
}
