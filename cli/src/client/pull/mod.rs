//! `hearth models pull`: a model file from Hugging Face, into the models folder.
//!
//! [`source`] reads what people paste, [`name`] says which names are taken, `hub` asks the hub, `pick` chooses the file, `part` is the file
//! while it isn't whole, `download` fills it, and `progress` tells how far it is.

mod download;
mod hub;
pub mod name;
mod part;
mod pick;
mod progress;
pub mod source;

use std::path::{Path, PathBuf};

use anyhow::Context;
use bytesize::ByteSize;
use hearth_domain::Secret;
use serde_json::json;

use super::terminal;
use hearth_node::catalog;
use hub::{Hub, HubFile};
use name::FileName;
use pick::Wanted;
use source::PullSource;

/// Which file to download.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hearth models pull Qwen/Qwen3-0.6B-GGUF
  hearth models pull Qwen/Qwen3-8B-GGUF:Q4_K_M
  hearth models pull https://huggingface.co/Qwen/Qwen3-0.6B-GGUF/blob/main/Qwen3-0.6B-Q8_0.gguf

A download that broke off goes on where it stopped. A private repository, or one whose terms must be accepted, needs \
a token of Hugging Face in HF_TOKEN.")]
pub struct Pull {
    /// The repository, as OWNER/REPO, OWNER/REPO:QUANTISATION, or the address of its page or of a file
    #[arg(value_name = "MODEL")]
    pub source: PullSource,
    /// The file; without it the only model file there is, or else a Q4_K_M
    #[arg(long, value_name = "NAME")]
    pub file: Option<FileName>,
}

/// Where a download comes from and where it goes.
#[derive(Debug, Clone)]
pub struct PullSettings {
    /// The folder that models lie in; made if it isn't there.
    pub models_dir: PathBuf,
    /// The hub's address: `https://huggingface.co`, or a mirror of it.
    pub hub: String,
    /// A token of the hub, for repositories that need one.
    pub hub_token: Option<Secret>,
}

impl Pull {
    /// Downloads the file, unless it is there already.
    ///
    /// # Errors
    /// The hub can't be reached or refuses, it isn't clear which file is meant, the disk is full, or what
    /// came isn't what the hub said it would be.
    pub async fn run(self, settings: &PullSettings, json: bool) -> anyhow::Result<()> {
        let hub = Hub::new(&settings.hub, settings.hub_token.clone())?;
        let repo = &self.source.repo;
        self.check_host(hub.host(), &settings.models_dir)?;
        let wanted = match (self.file.as_ref().or(self.source.file.as_ref()), &self.source.quantisation) {
            (Some(file), _) => Wanted::File(file),
            (None, Some(quantisation)) => Wanted::Quantisation(quantisation),
            (None, None) => Wanted::Likeliest,
        };
        let file = pick::pick(&hub.files(repo).await?, wanted, repo)?;
        let path = repo.folder_in(&settings.models_dir).join(file.name.as_str());
        let downloaded = !is_there(&path, file.size);
        if downloaded {
            download::download(&hub, repo, &file, &path).await?;
        }
        self.told(&file, &path, downloaded, json)?;
        terminal::next_steps(json, &[&format!("hearth chat --model {}", catalog::model_id(&path))]);
        Ok(())
    }

    /// Refuses an address of another machine than the hub's.
    fn check_host(&self, hub: &str, models_dir: &Path) -> anyhow::Result<()> {
        let Some(host) = self.source.host.as_deref().filter(|host| *host != hub) else { return Ok(()) };
        anyhow::bail!(
            "models are pulled from {hub}, and this is an address of {host}; a file from elsewhere goes into the model \
             folder: curl -L --output-dir {} -O {}",
            models_dir.display(),
            self.source.text
        )
    }

    fn told(&self, file: &HubFile, path: &Path, downloaded: bool, json: bool) -> anyhow::Result<()> {
        if json {
            return terminal::print_json(&json!({
                "repo": self.source.repo.as_str(), "file": file.name.as_str(), "path": path,
                "size_bytes": file.size, "sha256": file.sha256, "downloaded": downloaded,
            }));
        }
        let there = if downloaded { "saved as" } else { "already there:" };
        let line = format!("{there} {} ({})", path.display(), ByteSize(file.size));
        terminal::print_line(&line).context("the path can't be printed")
    }
}

/// Whether the file has been downloaded before: it gets its name only when it is whole.
fn is_there(path: &Path, size: u64) -> bool {
    path.metadata().is_ok_and(|found| found.is_file() && found.len() == size)
}

#[cfg(test)]
mod tests;
