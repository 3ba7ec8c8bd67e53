//! Process of a function: started with Lambda's environment, killed when it is dropped.

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    path::Path,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use tokio::{
    process::{Child, Command},
    sync::watch,
    task::JoinHandle,
    time::timeout,
};

use crate::output::Output;

/// Longest wait for the last lines of an ended process: a child of its own may keep the pipe open.
const LAST_LINES_TIMEOUT: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) output: Output,
    pub(crate) exited: watch::Receiver<Option<ExitStatus>>,
    pub(crate) pid: Option<u32>,
    watcher: JoinHandle<()>,
}

impl Process {
    /// Starts the process with Lambda's variables and `env`, which overrides them. It inherits no variable.
    pub(crate) fn start(binary: &Path, api: SocketAddr, env: &[(&str, &str)]) -> io::Result<Self> {
        let mut child = Command::new(binary)
            .env_clear()
            .envs(lambda_env(binary, api))
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", binary.display())))?;
        let pid = child.id();
        let output = Output::default();
        let readers = [
            child.stdout.take().map(|pipe| tokio::spawn(output.clone().follow(pipe))),
            child.stderr.take().map(|pipe| tokio::spawn(output.clone().follow(pipe))),
        ];
        let (exit, exited) = watch::channel(None);
        let watcher = tokio::spawn(watch_exit(child, readers.into_iter().flatten().collect(), exit));
        Ok(Self { output, exited, pid, watcher })
    }

    /// Returns the resident memory in bytes, where `/proc` exists.
    pub(crate) fn resident_bytes(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid?)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kilobytes * 1024)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The watcher owns the child, which is killed when it is dropped.
        self.watcher.abort();
    }
}

async fn watch_exit(mut child: Child, readers: Vec<JoinHandle<()>>, exit: watch::Sender<Option<ExitStatus>>) {
    let status = child.wait().await;
    for reader in readers {
        let _ = timeout(LAST_LINES_TIMEOUT, reader).await;
    }
    exit.send_replace(status.ok());
}

/// Returns the variables that Lambda sets and a runtime reads.
fn lambda_env(binary: &Path, api: SocketAddr) -> BTreeMap<&'static str, String> {
    let name = binary.file_name().map_or_else(|| "function".into(), |name| name.to_string_lossy());
    BTreeMap::from([
        ("AWS_LAMBDA_RUNTIME_API", api.to_string()),
        ("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{name}")),
        ("AWS_LAMBDA_FUNCTION_NAME", name.into_owned()),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".to_owned()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256".to_owned()),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "emulated".to_owned()),
        ("AWS_REGION", "us-east-1".to_owned()),
        ("AWS_DEFAULT_REGION", "us-east-1".to_owned()),
        ("AWS_ACCESS_KEY_ID", "emulated".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "emulated".to_owned()),
        ("TZ", ":UTC".to_owned()),
    ])
}
