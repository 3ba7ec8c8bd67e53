//! `hearth export` and `hearth import`: everything that users have stored, as a file, out of a store and into another one.

mod migrate;
mod stores;
#[cfg(test)]
mod tests;

use std::{
    fs::File,
    io::{self, BufReader, BufWriter},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use hearth_store::backup::{self, Counts, Exported, Imported, Options};
use serde_json::json;
use tempfile::NamedTempFile;

use crate::{
    client::{error::root_cause, terminal},
    context::{Context, ContextFlags},
};
pub(crate) use migrate::Migrate;
use stores::Stores;

/// Write everything that users have stored to a file
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hearth export --out hearth-2026-11-29.jsonl
  hearth export | zstd > hearth.jsonl.zst
  hearth export --table TABLE --bucket BUCKET --out stack.jsonl

Stop the gateway of a data folder first; a cloud stack may go on. The file has tokens' hashes, runs, conversations, generated \
files and the configuration, and only with --secrets the keys. Caches are left out. docs/backup.md describes the file.")]
pub(crate) struct Export {
    /// The file to create, for its owner alone; without it: standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Export the gateway's secret and the providers' keys too, as plain text
    #[arg(long, requires = "out")]
    secrets: bool,
    /// Print the result as JSON
    #[arg(long, requires = "out")]
    json: bool,
    #[command(flatten)]
    stores: Stores,
}

/// Read such a file into a store that has no data yet
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hearth import hearth-2026-11-29.jsonl --data new-folder
  hearth import hearth-2026-11-29.jsonl --table TABLE --bucket BUCKET

The file is checked whole before anything is written. If the import is interrupted, repeat it.")]
pub(crate) struct Import {
    /// The file that `hearth export` wrote
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Import into a store with data: add what is missing, and keep what is there
    #[arg(long)]
    merge: bool,
    /// Store the file's secrets in place of the store's own
    #[arg(long)]
    secrets: bool,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    stores: Stores,
}

impl Export {
    pub(crate) fn flags(&self) -> ContextFlags {
        self.stores.flags()
    }

    /// Runs the command.
    ///
    /// # Errors
    /// The store can't be read, or the file can't be written; then there is no file.
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        let file = self.out.as_deref().map(create).transpose()?;
        let store = self.stores.open(context, self.secrets, false).await?;
        let exported = match self.out.as_deref().zip(file) {
            Some((path, file)) => export_to(&store, self.secrets, path, file).await,
            None => Ok(backup::export(&store, self.secrets, &mut BufWriter::new(io::stdout())).await?),
        };
        store.close().await;
        let Exported { written: Counts { items, objects, secrets }, missing, missing_keys } = exported?;
        if missing > 0 {
            terminal::note(&format!(
                "warning: {missing} objects are missing, such as {}; the bucket's rule deletes objects after 30 days, so \
                 are they older, or is the bucket another one?",
                missing_keys.join(", ")
            ));
        }
        if self.json {
            let counts = json!({"items": items, "objects": objects, "secrets": secrets, "missing": missing});
            return terminal::print_json(&counts);
        }
        terminal::note(&format!("exported: {items} items, {objects} objects and {secrets} secrets"));
        Ok(())
    }
}

/// Creates the temporary file for `path`, which must not exist. Only its owner can read it.
fn create(path: &Path) -> Result<NamedTempFile> {
    anyhow::ensure!(
        !path.try_exists().unwrap_or(false),
        "{} exists already; name another file, or remove it",
        path.display()
    );
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    NamedTempFile::new_in(folder).map_err(|error| {
        // The error itself names the temporary file.
        let reason = root_cause(&error);
        anyhow::anyhow!("no file can be created in the folder {}: {reason}", folder.display())
    })
}

/// Writes `file`, and gives it the name `path`.
async fn export_to(
    store: &hearth_store::Store,
    secrets: bool,
    path: &Path,
    file: NamedTempFile,
) -> Result<Exported> {
    let not_written = || format!("cannot write {}", path.display());
    let mut out = BufWriter::new(file);
    let exported = backup::export(store, secrets, &mut out).await?;
    let file = out.into_inner().map_err(io::IntoInnerError::into_error).with_context(not_written)?;
    file.as_file().sync_all().with_context(not_written)?;
    file.persist_noclobber(path).with_context(not_written)?;
    Ok(exported)
}

impl Import {
    pub(crate) fn flags(&self) -> ContextFlags {
        self.stores.flags()
    }

    /// Runs the command.
    ///
    /// # Errors
    /// The file is damaged or of a newer version, the store has data, or it can't be written.
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        // Before a store is created.
        File::open(&self.file).with_context(|| format!("cannot read {}", self.file.display()))?;
        let store = self.stores.open(context, self.secrets, true).await?;
        let open = || File::open(&self.file).map(BufReader::new);
        let options = Options { merge: self.merge, secrets: self.secrets };
        let imported = backup::import(&store, open, options).await;
        store.close().await;
        let Imported { written: Counts { items, objects, secrets }, kept, ignored_secrets } = imported?;
        if self.json {
            let counts = json!({"items": items, "objects": objects, "secrets": secrets, "kept": kept});
            return terminal::print_json(&counts);
        }
        let skipped = if kept == 0 { String::new() } else { format!("; {kept} items were there already") };
        let ignored = match ignored_secrets {
            0 => "",
            _ => "; the file's secrets are ignored without --secrets",
        };
        terminal::note(&format!(
            "imported: {items} items, {objects} objects and {secrets} secrets{skipped}{ignored}"
        ));
        Ok(())
    }
}
