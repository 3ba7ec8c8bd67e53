//! A gateway without a node of its own, and a node that is enrolled by a code.

use std::{path::Path, process::Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use crate::{client, hearth::text, process::Process};

/// The setting `server.max_connections`: a quarter of the connections may be sockets.
const MAX_CONNECTIONS: &str = "8192";

/// The gateway.
#[derive(Debug)]
pub(super) struct Gateway {
    pub(super) url: String,
    pub(super) token: String,
    pub(super) process: Process,
    http: reqwest::Client,
}

/// An enrolled node.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) url: Option<String>,
    pub(super) process: Process,
    /// Its data, with its key.
    _data: TempDir,
}

impl Gateway {
    /// Starts `hearth up --no-node`.
    pub(super) async fn start(hearth: &Path) -> Result<Self> {
        let mut process = Process::start(hearth, |command, folder| {
            command.args(["up", "--no-node", "--json", "--port", "0", "--data"]).arg(folder.join("data"));
            command.env("HEARTH_SERVER__MAX_CONNECTIONS", MAX_CONNECTIONS);
        })?;
        let ready = process.ready().await?;
        Ok(Self { url: text(&ready, "url")?, token: text(&ready, "token")?, process, http: client::http()? })
    }

    /// Sends a request of the owner.
    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let request = self.http.post(format!("{}{path}", self.url)).bearer_auth(&self.token).json(body);
        json_of(request).await
    }

    /// Waits until a node's model is in the list, and serves.
    pub(super) async fn wait_for_model(&self, model: &str) -> Result<()> {
        for _ in 0..200 {
            let request = self.http.get(format!("{}/v1/models", self.url)).bearer_auth(&self.token);
            let list = json_of(request).await?;
            if list["data"].as_array().is_some_and(|models| models.iter().any(|one| one["id"] == model)) {
                return Ok(());
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        bail!("the gateway doesn't list {model}");
    }

    /// Makes a one-time code for a node.
    pub(super) async fn code(&self) -> Result<String> {
        let created = self.post("/v1/nodes/codes", &json!({})).await?;
        created["code"].as_str().map(str::to_owned).context("no code")
    }
}

impl Node {
    /// Enrols a node at the gateway at `url`, which may be a proxy's, and starts it with these variables. With an `address` the
    /// gateway may call the node there.
    pub(super) async fn start(
        hearth: &Path,
        url: &str,
        code: &str,
        address: Option<&str>,
        variables: &[(&str, String)],
    ) -> Result<Self> {
        let data = TempDir::new().context("no temporary folder")?;
        let mut enroll = Command::new(hearth);
        enroll.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", data.path()).stdin(Stdio::null());
        enroll.args(["node", "enroll", url, code, "--json", "--data"]).arg(data.path());
        enroll.args(address.iter().flat_map(|address| ["--url", address]));
        let output = enroll.output().await.context("hearth can't be started")?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let mut process = Process::start(hearth, |command, _| {
            command.args(["node", "run", "--json", "--port", "0", "--data"]).arg(data.path());
            command.envs(variables.iter().map(|(name, value)| (name, value)));
        })?;
        let ready = process.ready().await?;
        Ok(Self { url: ready["url"].as_str().map(str::to_owned), process, _data: data })
    }
}

/// The body of a successful answer.
pub(super) async fn json_of(request: reqwest::RequestBuilder) -> Result<Value> {
    let answer = request.send().await.context("no answer")?;
    let (status, text) = (answer.status(), answer.text().await?);
    ensure!(status.is_success(), "{status}: {text}");
    serde_json::from_str(&text).with_context(|| text)
}
