//! `hearth config`: the effective settings of this machine, and the configuration that all processes of a gateway share.

mod changes;
mod history;
mod pull;
mod push;

use anyhow::Result;
use clap::{Args, Subcommand};
use hearth_settings::CloudSettings;

use crate::{
    client::{connection::Connection, terminal},
    context::{Context, ContextFlags},
    settings::SettingsFlags,
};

/// Print the effective settings; push, pull and restore the gateway's configuration
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  hearth config                               # the settings of this machine
  hearth config pull > routing.toml           # the gateway's configuration
  hearth config diff routing.toml
  hearth config push routing.toml -m 'Groq first'
  hearth config history
  hearth config restore 3

The gateway's configuration has the tables providers, aliases, fallbacks, selection and models of hearth.toml. It is in the
gateway's table, and changes without a restart or a deployment. A name in it replaces the same name in hearth.toml."
)]
pub(crate) struct ConfigCommand {
    #[command(subcommand)]
    command: Option<ConfigSubcommand>,
    #[command(flatten)]
    show: Show,
}

/// Commands for settings and configuration.
#[derive(Debug, Subcommand)]
enum ConfigSubcommand {
    /// Print the effective settings of this machine, without secrets; the default
    Show(Show),
    /// Store a file's settings as the gateway's next configuration
    Push(push::Push),
    /// Print the gateway's configuration
    Pull(pull::Pull),
    /// Show the changes that a push of a file would make
    Diff(push::Diff),
    /// List the stored versions of the gateway's configuration
    History(history::History),
    /// Make an earlier version the gateway's next configuration
    Restore(history::Restore),
}

/// The settings to print.
#[derive(Debug, Args)]
struct Show {
    #[command(flatten)]
    settings: SettingsFlags,
    /// Print JSON, for programs, in place of TOML
    #[arg(long)]
    json: bool,
}

impl ConfigCommand {
    pub(crate) fn flags(&self) -> ContextFlags {
        let connection: &Connection = match &self.command {
            None => return self.show.settings.clone().into(),
            Some(ConfigSubcommand::Show(show)) => return show.settings.clone().into(),
            Some(ConfigSubcommand::Push(push)) => &push.connection,
            Some(ConfigSubcommand::Pull(pull)) => &pull.connection,
            Some(ConfigSubcommand::Diff(diff)) => &diff.connection,
            Some(ConfigSubcommand::History(history)) => &history.connection,
            Some(ConfigSubcommand::Restore(restore)) => &restore.connection,
        };
        connection.into()
    }

    /// Prints the settings, or sends the command to the gateway.
    ///
    /// # Errors
    /// No gateway, an error of the gateway, or a file that isn't a configuration.
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        match self.command {
            None => self.show.run(context),
            Some(ConfigSubcommand::Show(show)) => show.run(context),
            Some(ConfigSubcommand::Push(push)) => push.run(context).await,
            Some(ConfigSubcommand::Pull(pull)) => pull.run(context).await,
            Some(ConfigSubcommand::Diff(diff)) => diff.run(context).await,
            Some(ConfigSubcommand::History(history)) => history.run(context).await,
            Some(ConfigSubcommand::Restore(restore)) => restore.run(context).await,
        }
    }
}

impl Show {
    fn run(self, context: &Context) -> Result<()> {
        if self.json {
            return terminal::print_json(&context.settings);
        }
        Ok(terminal::print(&context.settings.to_toml()?)?)
    }
}

/// Prints every setting, and the variables of tables and of the Lambda functions, for the comparison with the documentation.
pub(crate) fn list() -> Result<()> {
    terminal::print_json(&serde_json::json!({
        "settings": hearth_settings::list(),
        "tables": hearth_settings::json_variables(),
        "cloud": CloudSettings::own_variables(),
    }))
}
