//! Servers as child processes.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::timeout,
};

/// Time for a server's start, in which it loads a model.
pub(crate) const START_TIMEOUT: Duration = Duration::from_secs(300);
/// Time for a server's end.
const END_TIMEOUT: Duration = Duration::from_secs(30);
/// Number of log lines that are shown when a server fails.
const SHOWN_LINES: usize = 30;

/// A running server, with a folder of its own. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    stdout: Option<Lines<BufReader<ChildStdout>>>,
    pid: u32,
    log: PathBuf,
    /// Deleted with it.
    _folder: TempDir,
}

impl Process {
    /// Starts `program`. Of this process' environment it gets nothing; its home is its folder, which the
    /// arguments are made for. What it writes to standard error is kept.
    pub(crate) fn start(program: &Path, prepare: impl FnOnce(&mut Command, &Path)) -> Result<Self> {
        let folder = TempDir::new().context("no temporary folder")?;
        let log = folder.path().join("stderr.log");
        let mut command = Command::new(program);
        command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(File::create(&log)?).kill_on_drop(true);
        prepare(&mut command, folder.path());
        let mut child = command.spawn().with_context(|| format!("{} can't be started", program.display()))?;
        let stdout = child.stdout.take().map(|stdout| BufReader::new(stdout).lines());
        let pid = child.id().context("a server ended at once")?;
        Ok(Self { child, stdout, pid, log, _folder: folder })
    }

    /// The line of JSON in which it says that it is ready.
    pub(crate) async fn ready(&mut self) -> Result<Value> {
        let stdout = self.stdout.as_mut().context("a server's standard output isn't read")?;
        match timeout(START_TIMEOUT, stdout.next_line()).await {
            Ok(Ok(Some(line))) => serde_json::from_str(&line).with_context(|| format!("it printed {line:?}")),
            Ok(_) => bail!("a server ended before it served; it wrote last:\n{}", self.written_last()),
            Err(_) => bail!("a server doesn't serve; it wrote last:\n{}", self.written_last()),
        }
    }

    /// Exit status of the process, if it has ended.
    pub(crate) fn ended(&mut self) -> Option<String> {
        let status = self.child.try_wait().ok().flatten()?;
        Some(format!("a server ended with {status}; it wrote last:\n{}", self.written_last()))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Asks it to end, and waits for that.
    pub(crate) async fn stop(mut self) -> Result<()> {
        signal("INT", self.pid).await?;
        match timeout(END_TIMEOUT, self.child.wait()).await {
            Ok(status) => status.map(drop).context("a server can't be waited for"),
            Err(_) => self.child.kill().await.context("a server can't be killed"),
        }
    }

    /// Kills it, and waits for its end.
    pub(crate) async fn kill(mut self) -> Result<()> {
        self.child.kill().await.context("a server can't be killed")
    }

    /// The end of its log.
    pub(crate) fn written_last(&self) -> String {
        let text = String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n")
    }
}

/// Sends a signal to a process that this one started, or that one of those started.
pub(crate) async fn signal(name: &str, pid: u32) -> Result<()> {
    let mut command = Command::new("kill");
    let status = command.arg(format!("-{name}")).arg(pid.to_string()).stderr(Stdio::null()).status().await?;
    if !status.success() {
        bail!("there is no process {pid} to signal");
    }
    Ok(())
}
