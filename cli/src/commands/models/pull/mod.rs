//! `hearth models pull`: downloads a model, by a job of the gateway's node, or into this machine's folder.
//!
//! [`follow`] shows a job until it ends, and can be left. `here` downloads in this process, where no gateway runs.

pub(crate) mod follow;
#[cfg(feature = "engine")]
mod here;
mod progress;

use std::path::PathBuf;

use hearth_domain::NodeId;
use hearth_wire::native::jobs::JobBody;
use serde_json::{Map, Value};

use crate::{
    client::{connection::Connection, error::GatewayError, gateway_client::GatewayClient, terminal},
    settings::Settings,
};

/// The model to download.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hearth models pull Qwen/Qwen3-0.6B-GGUF
  hearth models pull Qwen/Qwen3-8B-GGUF:Q4_K_M
  hearth models pull https://huggingface.co/Qwen/Qwen3-0.6B-GGUF/blob/main/Qwen3-0.6B-Q8_0.gguf
  hearth models pull ollama:qwen3:0.6b
  hearth models pull https://example.com/model.gguf --sha256 HEX

Where a gateway runs, its node downloads, and the command follows: Ctrl-C leaves the download running, and `hearth jobs` \
shows it. Elsewhere the command downloads into this machine's model folder; an interrupted download continues where it \
stopped. A private repository, or one whose terms must be accepted, needs a token of Hugging Face: in the variable \
HF_TOKEN, or as `hub.token` in the settings, where the download takes place.")]
pub(crate) struct Pull {
    /// OWNER/REPO or OWNER/REPO:QUANTISATION of Hugging Face, an address, a name of Ollama's library, or a whole path
    #[arg(value_name = "MODEL")]
    pub(crate) source: String,
    /// The file; without it the only model file of the repository, or else a Q4_K_M
    #[arg(long, value_name = "NAME")]
    pub(crate) file: Option<String>,
    /// The SHA-256 that the file must have
    #[arg(long, value_name = "HEX")]
    pub(crate) sha256: Option<String>,
    /// The node that downloads; without it your own
    #[arg(long, value_name = "ID", conflicts_with = "here")]
    pub(crate) node: Option<NodeId>,
    /// Return at once; `hearth jobs` shows the download
    #[arg(long, conflicts_with = "here")]
    pub(crate) no_wait: bool,
    /// Download into this machine's model folder, also where a gateway runs
    #[arg(long)]
    pub(crate) here: bool,
}

impl Pull {
    /// Downloads the model, unless it is there already.
    ///
    /// # Errors
    /// The gateway refuses, or the download fails.
    pub(crate) async fn run(
        self,
        settings: &Settings,
        connection: &Connection,
        (is_url_set, data): (bool, Option<&PathBuf>),
    ) -> anyhow::Result<()> {
        let is_here = self.here || (data.is_some() && !is_url_set);
        if !is_here {
            let gateway = GatewayClient::new(connection)?;
            match gateway.post::<JobBody>(&["v1", "models", "download"], &self.body()).await {
                Ok(job) => return self.follow(&gateway, job, connection.json).await,
                Err(error)
                    if error.is::<GatewayError>() || is_url_set || self.node.is_some() || self.no_wait =>
                {
                    return Err(error);
                }
                Err(_) => {}
            }
        }
        self.run_here(settings, connection.json).await
    }

    async fn follow(&self, gateway: &GatewayClient, job: JobBody, json: bool) -> anyhow::Result<()> {
        if self.no_wait {
            return follow::print(&job, json, &format!("{} is downloaded by {}", self.source, job.id));
        }
        let Some(job) = follow::follow(gateway, job).await? else { return Ok(()) };
        let model = job.model.clone().unwrap_or_default();
        follow::print(&job, json, &format!("{model} is there"))?;
        terminal::next_steps(json, &[&format!("hearth chat --model {model}")]);
        Ok(())
    }

    fn body(&self) -> Value {
        let mut body = Map::new();
        body.insert("source".to_owned(), self.source.clone().into());
        let optional = [
            ("file", self.file.clone()),
            ("sha256", self.sha256.clone()),
            ("node", self.node.map(|node| node.to_string())),
        ];
        body.extend(optional.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.into()))));
        body.into()
    }

    #[cfg(feature = "engine")]
    async fn run_here(self, settings: &Settings, json: bool) -> anyhow::Result<()> {
        here::download(self, settings, json).await
    }

    #[cfg(not(feature = "engine"))]
    async fn run_here(self, _: &Settings, _: bool) -> anyhow::Result<()> {
        Err(crate::commands::without_engine::unavailable("no gateway answers, and a download without one"))
    }
}

#[cfg(test)]
mod tests;
