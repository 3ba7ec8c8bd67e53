//! `hearth models pull`: a model file from Hugging Face, into the models folder.
//!
//! [`source`] parses the argument, [`name`] checks names, `hub` sends requests to the hub, `pick` chooses the file, `part`
//! is the unfinished file, `download` fills it, and `progress` shows the progress.

mod download;
mod hub;
pub(crate) mod name;
mod part;
mod pick;
mod progress;
pub(crate) mod source;

use std::path::Path;

use anyhow::Context as _;
use bytesize::ByteSize;
use hearth_node::model_files;
use serde_json::json;

use crate::{client::terminal, settings::Settings};
use hub::{Hub, HubFile};
use name::FileName;
use pick::Wanted;
use source::PullSource;

/// The file to download.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hearth models pull Qwen/Qwen3-0.6B-GGUF
  hearth models pull Qwen/Qwen3-8B-GGUF:Q4_K_M
  hearth models pull https://huggingface.co/Qwen/Qwen3-0.6B-GGUF/blob/main/Qwen3-0.6B-Q8_0.gguf

An interrupted download continues where it stopped. A private repository, or one whose terms must be accepted, needs \
a token of Hugging Face: in the variable HF_TOKEN, or as `hub.token` in the settings.")]
pub(crate) struct Pull {
    /// The repository, as OWNER/REPO, OWNER/REPO:QUANTISATION, or the address of its page or of a file
    #[arg(value_name = "MODEL")]
    pub(crate) source: PullSource,
    /// The file; without it the only model file of the repository, or else a Q4_K_M
    #[arg(long, value_name = "NAME")]
    pub(crate) file: Option<FileName>,
}

impl Pull {
    /// Downloads the file, unless it exists already.
    ///
    /// # Errors
    /// The hub can't be reached or refuses, several files match, the disk is full, or the file's size or hash isn't the
    /// hub's.
    pub(crate) async fn run(self, settings: &Settings, json: bool) -> anyhow::Result<()> {
        let hub = Hub::new(&settings.hub.url, settings.hub.token.clone())?;
        let folder = settings.models_folder();
        let repo = &self.source.repo;
        self.check_host(hub.host(), &folder)?;
        let wanted = match (self.file.as_ref().or(self.source.file.as_ref()), &self.source.quantisation) {
            (Some(file), _) => Wanted::File(file),
            (None, Some(quantisation)) => Wanted::Quantisation(quantisation),
            (None, None) => Wanted::Usual,
        };
        let file = pick::pick(&hub.files(repo).await?, wanted, repo)?;
        let path = repo.folder_in(&folder).join(file.name.as_str());
        let downloaded = !is_complete(&path, file.size);
        if downloaded {
            download::download(&hub, repo, &file, &path).await?;
        }
        self.print(&file, &path, downloaded, json)?;
        terminal::next_steps(json, &[&format!("hearth chat --model {}", model_files::model_id(&path))]);
        Ok(())
    }

    /// Refuses an address of another host than the hub's.
    fn check_host(&self, hub: &str, models_folder: &Path) -> anyhow::Result<()> {
        let Some(host) = self.source.host.as_deref().filter(|host| *host != hub) else { return Ok(()) };
        anyhow::bail!(
            "models are pulled from {hub}, and this is an address of {host}; a file from elsewhere goes into the model \
             folder: curl -L --output-dir {} -O {}",
            models_folder.display(),
            self.source.text
        )
    }

    fn print(&self, file: &HubFile, path: &Path, downloaded: bool, json: bool) -> anyhow::Result<()> {
        if json {
            return terminal::print_json(&json!({
                "repo": self.source.repo.as_str(), "file": file.name.as_str(), "path": path,
                "size_bytes": file.size, "sha256": file.sha256, "downloaded": downloaded,
            }));
        }
        let prefix = if downloaded { "saved as" } else { "already there:" };
        let line = format!("{prefix} {} ({})", path.display(), ByteSize(file.size));
        terminal::print_line(&line).context("the path can't be printed")
    }
}

/// Returns whether the file is complete: only then it has its final name.
fn is_complete(path: &Path, size: u64) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() == size)
}

#[cfg(test)]
mod tests;
