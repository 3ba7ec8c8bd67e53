//! `hearth audit list` and `hearth audit export`.

use anyhow::Result;
use clap::{
    Args, ValueEnum,
    builder::{PossibleValuesParser, TypedValueParser},
};
use hearth_domain::AuditResult;
use hearth_wire::native::audit::{AuditEntryBody, AuditList};

use super::csv;
use crate::{
    client::{gateway_client::GatewayClient, table::Table, terminal},
    context::Context,
};

/// Entries in a page.
const PAGE_COUNT: u32 = 1000;
const SEGMENTS: [&str; 2] = ["v1", "audit"];

/// The entries to read.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct Filter {
    /// Time of the first entry, or its day; without it: seven days ago
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Time of the last entry, or its day; without it: now
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// Entries of this user
    #[arg(long, value_name = "ID")]
    user: Option<String>,
    /// Entries of this action, such as `manage_tokens`
    #[arg(long, value_name = "NAME")]
    action: Option<String>,
    /// Entries of this operation of the API, such as `create_token`
    #[arg(long, value_name = "NAME")]
    operation: Option<String>,
    /// Entries with this result
    #[arg(long, value_name = "RESULT", value_parser = results())]
    result: Option<AuditResult>,
    /// Entries about the thing with this id
    #[arg(long, value_name = "ID")]
    resource: Option<String>,
    /// The log of this organisation; `gateway` for requests of no organisation, `all` for every log
    #[arg(long, value_name = "ID")]
    organisation: Option<String>,
}

fn results() -> impl TypedValueParser<Value = AuditResult> {
    PossibleValuesParser::new(AuditResult::ALL.map(AuditResult::as_str)).try_map(|name| {
        AuditResult::ALL.into_iter().find(|result| result.as_str() == name).ok_or("there is no such result")
    })
}

impl Filter {
    /// Reads all pages, and passes each entry on.
    pub(super) async fn read(
        &self,
        gateway: &GatewayClient,
        mut use_entry: impl FnMut(AuditEntryBody) -> Result<()>,
    ) -> Result<()> {
        let limit = PAGE_COUNT.to_string();
        let mut cursor: Option<String> = None;
        loop {
            let mut query = self.query();
            query.push(("limit", &limit));
            if let Some(cursor) = &cursor {
                query.push(("cursor", cursor));
            }
            let page: AuditList = gateway.get(&SEGMENTS, &query).await?;
            page.entries.into_iter().try_for_each(&mut use_entry)?;
            cursor = page.next_cursor;
            if cursor.is_none() {
                return Ok(());
            }
        }
    }

    fn query(&self) -> Vec<(&'static str, &str)> {
        let result = self.result.map(AuditResult::as_str);
        let parameters = [
            ("from", self.from.as_deref()),
            ("to", self.to.as_deref()),
            ("user", self.user.as_deref()),
            ("action", self.action.as_deref()),
            ("operation", self.operation.as_deref()),
            ("result", result),
            ("resource", self.resource.as_deref()),
            ("organisation", self.organisation.as_deref()),
        ];
        parameters.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

/// Show entries, oldest first
#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    filter: Filter,
}

impl List {
    /// Prints the entries as a table.
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let gateway = GatewayClient::new(&context.connection)?;
        let mut entries = Vec::new();
        self.filter
            .read(&gateway, |entry| {
                entries.push(entry);
                Ok(())
            })
            .await?;
        if context.connection.json {
            return terminal::print_json(&AuditList { entries, next_cursor: None });
        }
        if entries.is_empty() {
            terminal::note("there are no such entries; the list begins seven days ago, or with --from");
            return Ok(());
        }
        Ok(terminal::print(&table(&entries).fitted(terminal::columns()))?)
    }
}

pub(super) fn table(entries: &[AuditEntryBody]) -> Table<7> {
    let mut table = Table::new(["TIME", "RESULT", "OPERATION", "ON", "USER", "FROM", "COUNT"]);
    for entry in entries {
        let result = match &entry.code {
            Some(code) => format!("{}: {code}", entry.result.as_str()),
            None => entry.result.as_str().to_owned(),
        };
        table.push([
            entry.at.clone(),
            result,
            entry.operation.clone(),
            entry.resources.join(" "),
            entry.user.clone().unwrap_or_default(),
            entry.address.clone().unwrap_or_default(),
            entry.count.to_string(),
        ]);
    }
    table
}

/// The format of an export.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// A JSON object in each line
    #[default]
    Jsonl,
    /// Comma-separated values, with a header
    Csv,
}

/// Write entries as JSON Lines or CSV to standard output
#[derive(Debug, Args)]
pub(super) struct Export {
    #[command(flatten)]
    filter: Filter,
    /// The format
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

impl Export {
    /// Prints the entries as they arrive.
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let gateway = GatewayClient::new(&context.connection)?;
        if self.format == Format::Csv {
            terminal::print_line(csv::HEADER)?;
        }
        self.filter
            .read(&gateway, |entry| match self.format {
                Format::Jsonl => terminal::print_json(&entry),
                Format::Csv => Ok(terminal::print_line(&csv::row(&entry))?),
            })
            .await
    }
}
