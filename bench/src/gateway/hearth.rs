//! Hearth under test, and the least that a gateway can be.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use super::{
    client::Address,
    peers::free_port,
    subject::{Subject, address},
    upstream::MODEL,
};
use crate::{hearth::text, process::Process};

/// Work of Hearth for each request of this benchmark.
const SETUP: &str = "authentication by token, a run record, routing by the model's name, retries and \
                     the log at its default level on; the cache too, which keeps answers of temperature 0 only; no node";

/// Name of the earlier build of Hearth in the tables.
pub(super) const BEFORE: &str = "Hearth before";

/// A data folder with a token, and settings that name the mock.
#[derive(Debug)]
pub(super) struct Home {
    hearth: PathBuf,
    folder: TempDir,
    token: String,
    token_id: String,
}

impl Home {
    /// Makes the folder, as a first start does.
    pub(super) async fn new(hearth: &Path, upstream: &str) -> Result<Self> {
        let folder = TempDir::new().context("no temporary folder")?;
        let settings = format!(
            "[providers.mock]\nkind = \"openai_compatible\"\nbase_url = \"{upstream}/v1\"\nmodels = [\"{MODEL}\"]\n\n[cache]\nenabled = true\n"
        );
        fs::write(folder.path().join("hearth.toml"), settings)?;
        let mut command = Command::new(hearth);
        command.env_clear().env("HOME", folder.path()).kill_on_drop(true);
        command.args(["token", "create", "bench", "--json", "--data"]).arg(folder.path().join("data"));
        let output = command.output().await.context("hearth can't be started")?;
        if !output.status.success() {
            bail!("no token can be created: {}", String::from_utf8_lossy(&output.stderr));
        }
        let created: Value = serde_json::from_slice(&output.stdout).context("a token isn't JSON")?;
        let (token, token_id) =
            (text(&created, "token")?, text(&created["record"], "id").or_else(|_| text(&created, "id"))?);
        Ok(Self { hearth: hearth.to_owned(), token, token_id, folder })
    }

    /// The built `hearth`.
    pub(super) fn program(&self) -> &Path {
        &self.hearth
    }

    /// Starts `hearth up` in it, under callgrind if there is a file for the counts. One at a time.
    pub(super) async fn start(&self, counts: Option<&Path>) -> Result<Subject> {
        self.start_as("Hearth", counts).await
    }

    /// [`Home::start`] with another name in the tables.
    pub(super) async fn start_as(&self, name: &'static str, counts: Option<&Path>) -> Result<Subject> {
        let port = free_port()?;
        let began = Instant::now();
        let process = start(&self.hearth, counts, |command| {
            command.args(["up", "--json", "--no-node", "--port", &port.to_string()]);
            command.arg("--data").arg(self.folder.path().join("data"));
            command.arg("--config").arg(self.folder.path().join("hearth.toml"));
        })?;
        let headers = vec![("authorization", format!("Bearer {}", self.token))];
        let at = ([127, 0, 0, 1], port).into();
        let address = Address { at, path: "/v1/chat/completions", model: MODEL.to_owned(), headers };
        Subject::started(name, SETUP, process, address, began).await
    }

    /// Limits the token's requests and tokens, and gives it budgets, at the running gateway `subject`.
    pub(super) async fn limit(&self, subject: &mut Subject) -> Result<()> {
        let mut command = Command::new(&self.hearth);
        command.env_clear().env("HOME", self.folder.path()).kill_on_drop(true);
        command.args(["limit", "set", "token", &self.token_id, "--requests-per-minute", "4000000000"]);
        command.args(["--tokens-per-minute", "4000000000", "--tokens-per-day", "1000000000000"]);
        command.args(["--url", &format!("http://{}", subject.address.at)]).env("HEARTH_TOKEN", &self.token);
        let output = command.output().await.context("hearth can't be started")?;
        if !output.status.success() {
            bail!("no limit can be set: {}", String::from_utf8_lossy(&output.stderr));
        }
        subject.setup.push_str("; its token has limits of requests and tokens, and a budget");
        Ok(())
    }

    /// The file that runs are recorded in.
    pub(super) fn database(&self) -> PathBuf {
        self.folder.path().join("data").join("store.db")
    }
}

/// Mock server, without a gateway.
pub(super) async fn direct() -> Result<Subject> {
    ours("direct", "the mock itself", &["upstream"], None).await
}

/// The pass-through in front of the mock, under callgrind if there is a file for the counts.
pub(super) async fn pass_through(upstream: &str, counts: Option<&Path>) -> Result<Subject> {
    let setup = "axum and reqwest, in a process of their own; nothing is on";
    ours("pass-through", setup, &["pass-through", upstream], counts).await
}

/// This program in another part.
async fn ours(name: &'static str, setup: &str, arguments: &[&str], counts: Option<&Path>) -> Result<Subject> {
    let program = std::env::current_exe().context("this program's file isn't known")?;
    let began = Instant::now();
    let mut process = start(&program, counts, |command| {
        command.args(arguments);
    })?;
    let url = text(&process.ready().await?, "url")?;
    let (path, model) = ("/v1/chat/completions", MODEL.to_owned());
    let address = Address { at: address(&url)?, path, model, headers: Vec::new() };
    Subject::started(name, setup, process, address, began).await
}

/// Starts a program, under callgrind if there is a file for the counts.
fn start(program: &Path, counts: Option<&Path>, prepare: impl FnOnce(&mut Command)) -> Result<Process> {
    let Some(counts) = counts else { return Process::start(program, |command, _| prepare(command)) };
    Process::start(Path::new("valgrind"), |command, _| {
        // Threads take turns: else a busy one may keep the others from running.
        command.args(["--tool=callgrind", "--quiet", "--fair-sched=yes"]);
        command.arg(format!("--callgrind-out-file={}", counts.display())).arg(program);
        prepare(command);
    })
}
