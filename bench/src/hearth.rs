//! Hearth under test: the node alone, and everything together.

use std::path::Path;

use anyhow::{Context as _, Result};
use hearth_auth::Keys;
use hearth_domain::NodeId;
use hearth_node::model_files;
use serde_json::Value;
use tokio::process::Command;

use crate::{
    client::{Chat, Client, Link},
    process::Process,
    server::{Capacity, Server},
};

/// The model in the binary.
const TINY_ID: &str = "tiny-chat";
/// Runs that may wait: more than any measurement lets wait.
const QUEUE_DEPTH: u32 = 1024;

/// Starts `hearth node run`, whose own port is measured.
pub(crate) async fn node(hearth: &Path, model: Option<&Path>, capacity: Capacity) -> Result<Server> {
    let keys = Keys::derive(&Keys::generate_secret()).context("no keys")?;
    let (id, signer) = (NodeId::new(), keys.link().clone());
    let mut process = Process::start(hearth, |command, folder| {
        command.args(["node", "run"]).args(["--id", &id.to_string(), "--gateway-key", &signer.public_key()]);
        settings(command, folder, model, capacity);
    })?;
    let url = text(&process.ready().await?, "url")?;
    let model = model.map_or_else(|| TINY_ID.to_owned(), model_files::model_id);
    let link = Link::new(id, &url, signer, model)?;
    Ok(Server { name: "node", client: Client::Link(link), process })
}

/// Starts `hearth up`, whose gateway is measured.
pub(crate) async fn gateway(hearth: &Path, model: Option<&Path>, capacity: Capacity) -> Result<Server> {
    let mut process = Process::start(hearth, |command, folder| {
        command.arg("up");
        settings(command, folder, model, capacity);
    })?;
    let ready = process.ready().await?;
    let chat = Chat::new(&text(&ready, "url")?, Some(text(&ready, "token")?))?;
    Ok(Server { name: "gateway", client: Client::Chat(chat), process })
}

/// Returns a field of the line that a server prints when it is ready.
pub(crate) fn text(ready: &Value, field: &str) -> Result<String> {
    ready[field].as_str().map(str::to_owned).with_context(|| format!("hearth didn't tell its {field}"))
}

fn settings(command: &mut Command, folder: &Path, model: Option<&Path>, capacity: Capacity) {
    command.args(["--json", "--port", "0", "--data"]).arg(folder.join("data"));
    if let Some(model) = model {
        command.arg("--model").arg(model);
    }
    for (name, value) in [
        ("HEARTH_NODE__THREADS", capacity.threads),
        ("HEARTH_NODE__SLOTS", capacity.slots),
        ("HEARTH_NODE__CONTEXT_LENGTH", capacity.context),
        ("HEARTH_NODE__QUEUE_DEPTH", QUEUE_DEPTH),
    ] {
        command.env(name, value.to_string());
    }
}
