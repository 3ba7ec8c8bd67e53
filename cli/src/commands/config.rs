//! `hearth config`.

use anyhow::Result;
use hearth_settings::CloudSettings;

use crate::{
    client::terminal,
    context::{Context, ContextFlags},
    settings::SettingsFlags,
};

/// Print the effective settings, without secrets
#[derive(Debug, clap::Args)]
pub(crate) struct ShowConfig {
    #[command(flatten)]
    settings: SettingsFlags,
}

impl ShowConfig {
    pub(crate) fn flags(&self) -> ContextFlags {
        self.settings.clone().into()
    }

    /// Prints the settings as TOML.
    pub(crate) fn run(self, context: &Context) -> Result<()> {
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
