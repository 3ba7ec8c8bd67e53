//! `hearth audit`: reads, exports and verifies the audit log of a running gateway.

mod csv;
mod entries;
mod verify;

#[cfg(test)]
mod tests;

use clap::{Args, Subcommand};

use crate::{client::connection::Connection, context::Context};

/// Read, export and verify the audit log
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hearth audit list --from 2026-01-31 --result refused
  hearth audit list --resource tok_01JZ0000000000000000000000
  hearth audit export --from 2026-01-01 --to 2026-01-31 --format csv > january.csv
  hearth audit verify
  hearth audit verify --seal 42:9f86d081...    # a seal that an earlier verification has printed

Each change and each refusal is an entry. Its record has the hash of the one before it, and signed seals are over them. \
Owners and auditors of an organisation read its log; operators of the gateway read all logs.")]
pub(crate) struct Audit {
    #[command(subcommand)]
    command: AuditCommand,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// Commands for the audit log.
#[derive(Debug, Subcommand)]
enum AuditCommand {
    /// Show entries, oldest first
    List(entries::List),
    /// Write entries as JSON Lines or CSV to standard output
    Export(entries::Export),
    /// Check that no entry was changed, removed, inserted or reordered
    Verify(verify::Verify),
}

impl Audit {
    /// Runs the command.
    ///
    /// # Errors
    /// No gateway, an error of the gateway, or a log that isn't intact.
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<()> {
        match self.command {
            AuditCommand::List(list) => list.run(context).await,
            AuditCommand::Export(export) => export.run(context).await,
            AuditCommand::Verify(verify) => verify.run(context).await,
        }
    }
}
