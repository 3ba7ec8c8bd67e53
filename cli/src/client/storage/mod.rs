//! `hearth storage`: what the model folder takes, and what goes from it.
//!
//! The folder itself is looked at, so the gateway need not run; where it does, it tells which models are
//! in memory, and those stay.

mod in_use;
mod prune;
mod usage;

use std::{
    collections::BTreeMap,
    fs::{File, TryLockError},
    path::PathBuf,
};

use hearth_domain::Timestamp;
use hearth_node::{
    catalog::{Catalog, ModelFile},
    storage::{Keep, LastUsed, Policy, Survey},
};

use super::connection::Connection;
use in_use::InUse;
pub use prune::Prune;

/// Show what the models take on the disk
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hearth storage
  hearth storage prune --dry-run --keep-days 30
  hearth storage prune --max-bytes 20GB

One model is removed by `hearth models remove ID`.")]
pub struct Storage {
    #[command(subcommand)]
    pub command: Option<StorageCommand>,
    /// The data folder
    #[arg(long, global = true, value_name = "DIR")]
    pub data: Option<PathBuf>,
    #[command(flatten)]
    pub connection: Connection,
}

/// What to do beyond looking.
#[derive(Debug, clap::Subcommand)]
pub enum StorageCommand {
    /// Remove models that weren't used for long, or until a size is reached
    Prune(Prune),
}

/// The model folder, and what is known of it from the settings.
#[derive(Debug, Clone)]
pub struct ModelFolder {
    /// Where it is.
    pub path: PathBuf,
    /// The file that a running gateway holds a lock on.
    pub lock: PathBuf,
    /// The model that serves requests which name none.
    pub default_model: String,
    /// The model that comes with the program.
    pub embedded_model: String,
    /// What bounds the folder.
    pub policy: Policy,
}

impl ModelFolder {
    /// Refuses to go on while a gateway runs on this folder, which could not be asked because of `why`.
    pub(super) fn refuse_while_served(&self, why: &str) -> anyhow::Result<()> {
        let runs = File::open(&self.lock)
            .is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)));
        anyhow::ensure!(
            !runs,
            "a running hearth uses this folder, and can't be asked which models it has in memory: {why}\n\
             Say where it is with --url, and give a token with models:read in HEARTH_TOKEN; or stop it first"
        );
        Ok(())
    }
}

impl Storage {
    /// Does what was asked.
    ///
    /// # Errors
    /// The folder can't be read, nothing says what is to go, or something can't be removed.
    pub async fn run(self, folder: &ModelFolder) -> anyhow::Result<()> {
        let in_use = InUse::ask(&self.connection).await;
        match self.command {
            None => usage::show(&Contents::look(folder, &in_use), folder, &in_use, self.connection.json),
            Some(StorageCommand::Prune(prune)) => prune.run(folder, &in_use, self.connection.json),
        }
    }
}

/// What is in the folder.
struct Contents {
    models: BTreeMap<String, ModelFile>,
    survey: Survey,
    now: Timestamp,
}

impl Contents {
    fn look(folder: &ModelFolder, in_use: &InUse) -> Self {
        let models = Catalog::new(folder.path.clone(), Vec::new()).scan();
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

/// When something was used, for people.
fn ago(at: Timestamp, now: Timestamp) -> String {
    match at.until(now).as_secs() / 86_400 {
        0 => "today".to_owned(),
        1 => "yesterday".to_owned(),
        days => format!("{days} days ago"),
    }
}

/// What bounds a folder, for people; `None` if nothing does.
fn bounds(policy: &Policy) -> Option<String> {
    let size = policy.max_bytes.map(|bytes| format!("at most {}", bytesize::ByteSize(bytes)));
    let days = policy.keep_days.map(|days| format!("kept {days} days after their last use"));
    let both: Vec<String> = [size, days].into_iter().flatten().collect();
    (!both.is_empty()).then(|| both.join(", "))
}

#[cfg(test)]
mod tests;
