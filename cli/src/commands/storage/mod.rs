//! `hearth storage`: shows the size of the model folder, and removes unused models.
//!
//! The command reads the folder itself, so the gateway need not run. If it runs, it is asked which models are in memory, and
//! these stay.

mod in_use;
mod prune;
mod usage;

use std::{collections::BTreeMap, path::PathBuf};

use hearth_domain::Timestamp;
use hearth_node::{
    model_files::{ModelFile, ModelScanner},
    storage::{Keep, LastUsed, Policy, Survey},
};

use crate::{
    client::connection::Connection,
    context::{Context, ContextFlags},
    home::model_folder::ModelFolder,
    settings::SettingsFlags,
};
use in_use::InUse;
use prune::Prune;

/// Show how much disk space the models use
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hearth storage
  hearth storage prune --dry-run --keep-days 30
  hearth storage prune --max-bytes 20GB

`hearth models remove ID` removes one model.")]
pub(crate) struct Storage {
    #[command(subcommand)]
    pub(crate) command: Option<StorageCommand>,
    /// The data folder
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// Commands for the model folder.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum StorageCommand {
    /// Remove models that are unused for long, or until the folder has a size
    Prune(Prune),
}

impl Storage {
    pub(crate) fn flags(&self) -> ContextFlags {
        ContextFlags {
            settings: SettingsFlags::with_data(self.data.clone()),
            connection: self.connection.clone(),
        }
    }

    /// Runs the command.
    ///
    /// # Errors
    /// The folder can't be read, no limit is set, or a model can't be removed.
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<()> {
        let (folder, json) = (ModelFolder::new(&context.settings), context.connection.json);
        let in_use = InUse::request(&context.connection).await;
        match self.command {
            None => usage::show(&Contents::read(&folder, &in_use), &folder, &in_use, json),
            Some(StorageCommand::Prune(prune)) => prune.run(&folder, &in_use, json),
        }
    }
}

/// The contents of the folder.
struct Contents {
    models: BTreeMap<String, ModelFile>,
    survey: Survey,
    now: Timestamp,
}

impl Contents {
    fn read(folder: &ModelFolder, in_use: &InUse) -> Self {
        let models = ModelScanner::new(folder.path.clone(), Vec::new()).scan();
        let (used, now) = (LastUsed::read(&folder.path), Timestamp::now());
        let keep = |id: &str| {
            let reasons = [
                (id == folder.embedded_model, Keep::Embedded),
                (id == folder.default_model || in_use.is_default(id), Keep::Default),
                (in_use.is_loaded(id), Keep::InUse),
            ];
            reasons.into_iter().find(|(holds, _)| *holds).map(|(_, keep)| keep)
        };
        let survey = Survey::of(&folder.path, &models, &used, keep, now);
        Self { models, survey, now }
    }
}

/// Formats the time since the last use.
fn ago(at: Timestamp, now: Timestamp) -> String {
    match at.until(now).as_secs() / 86_400 {
        0 => "today".to_owned(),
        1 => "yesterday".to_owned(),
        days => format!("{days} days ago"),
    }
}

/// Formats the limits of a folder, if it has any.
fn limits(policy: &Policy) -> Option<String> {
    let size = policy.max_bytes.map(|bytes| format!("at most {}", bytesize::ByteSize(bytes)));
    let days = policy.keep_days.map(|days| format!("kept {days} days after their last use"));
    let both: Vec<String> = [size, days].into_iter().flatten().collect();
    (!both.is_empty()).then(|| both.join(", "))
}

#[cfg(test)]
mod tests;
