//! llama.cpp's own server, set up to do its best.

use std::{net::TcpListener, path::Path, process::Stdio, time::Duration};

use anyhow::{Context as _, Result, bail};
use tokio::time::{Instant, interval};

use crate::{
    client::{Chat, Client, http},
    process::{Process, START_TIMEOUT},
    server::{Capacity, Server},
};

/// Interval between health checks.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Starts `llama-server` with the same numbers of threads, slots and tokens per slot as Hearth.
///
/// Batches are continuous and prompts are cached by default. Answers are not searched for reasoning and calls
/// of tools, which it would do again for each token: Hearth's node does no such thing for these requests.
pub(crate) async fn llama_server(program: &Path, model: &Path, capacity: Capacity) -> Result<Server> {
    let port = free_port()?.to_string();
    let Capacity { threads, slots, context } = capacity;
    let [threads, slots, context] = [threads, slots, slots * context].map(|number| number.to_string());
    let mut process = Process::start(program, |command, _| {
        command.stdout(Stdio::null());
        if let Some(libraries) = program.parent() {
            command.env("LD_LIBRARY_PATH", libraries);
        }
        command.args(["--host", "127.0.0.1", "--port", &port]).arg("--model").arg(model);
        command.args(["--threads", &threads, "--threads-batch", &threads]);
        command.args(["--parallel", &slots, "--ctx-size", &context]);
        command.args(["--cont-batching", "--cache-prompt", "--jinja", "--skip-chat-parsing", "--no-webui"]);
    })?;
    let url = format!("http://127.0.0.1:{port}");
    until_ready(&url, &mut process).await?;
    Ok(Server { name: "llama-server", client: Client::Chat(Chat::new(&url, None)?), process })
}

async fn until_ready(url: &str, process: &mut Process) -> Result<()> {
    let (http, health) = (http()?, format!("{url}/health"));
    let (mut looks, deadline) = (interval(POLL_INTERVAL), Instant::now() + START_TIMEOUT);
    while Instant::now() < deadline {
        looks.tick().await;
        if let Some(how) = process.ended() {
            bail!(how);
        }
        if http.get(&health).send().await.is_ok_and(|answer| answer.status().is_success()) {
            return Ok(());
        }
    }
    bail!("llama-server doesn't serve; it wrote last:\n{}", process.written_last());
}

/// A port that was free a moment ago: the server takes a number only.
fn free_port() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").context("no port is free")?;
    Ok(listener.local_addr()?.port())
}
