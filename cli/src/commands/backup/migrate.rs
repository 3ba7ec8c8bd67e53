//! `hearth migrate`: rewrites stored items to the present shapes, or back.

use anyhow::Result;
use hearth_store::{MigrationOptions, StepReport};
use serde_json::{Value, json};

use super::stores::Stores;
use crate::{
    client::terminal,
    context::{Context, ContextFlags},
};

/// Rewrite stored items of earlier versions, or undo that
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hearth migrate --dry-run
  hearth migrate --max-items 10000
  hearth migrate --revert

Hearth reads items of earlier versions, so it starts without this. A migration can be repeated, and stopped at any time. Stop the \
gateway of a data folder first; a cloud stack may go on. Revert before you go back to an earlier version of Hearth.")]
pub(crate) struct Migrate {
    /// Count the items, and change none
    #[arg(long)]
    dry_run: bool,
    /// Undo the steps, so that an earlier version of Hearth can read the items
    #[arg(long)]
    revert: bool,
    /// Stop after so many changed items
    #[arg(long, value_name = "COUNT")]
    max_items: Option<u64>,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    stores: Stores,
}

impl Migrate {
    pub(crate) fn flags(&self) -> ContextFlags {
        self.stores.flags()
    }

    /// Runs the command.
    ///
    /// # Errors
    /// The store can't be read or written. What was rewritten until then stays so.
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        let store = self.stores.open(context, false, false).await?;
        let options =
            MigrationOptions { reverts: self.revert, is_dry_run: self.dry_run, max_count: self.max_items };
        let reports = store.migrate_items(options).await;
        store.close().await;
        let reports = reports?;
        if self.json {
            let steps: Vec<Value> = reports.iter().map(body).collect();
            return terminal::print_json(&json!({"dry_run": self.dry_run, "steps": steps}));
        }
        for report in &reports {
            terminal::print_line(&line(report, self.dry_run))?;
        }
        Ok(())
    }
}

fn body(report: &StepReport) -> Value {
    json!({
        "name": report.name,
        "from": report.versions.0,
        "to": report.versions.1,
        "changed": report.changed_count,
        "done": report.done_count,
        "unreadable": report.unreadable_count,
        "stopped": report.is_stopped,
    })
}

fn line(report: &StepReport, is_dry_run: bool) -> String {
    let StepReport { name, versions: (from, to), changed_count, done_count, unreadable_count, is_stopped } =
        report;
    let verb = if is_dry_run { "would be changed" } else { "changed" };
    let stopped = if *is_stopped { "; stopped at the limit, repeat the command for the rest" } else { "" };
    let unreadable = match unreadable_count {
        0 => String::new(),
        count => format!(", {count} can't be read and stay as they are"),
    };
    format!(
        "{name}, version {from} to {to}: {changed_count} {verb}, {done_count} were before{unreadable}{stopped}"
    )
}
