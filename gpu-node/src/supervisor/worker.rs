//! A worker process, on the supervisor's side.

use std::{
    collections::VecDeque,
    io,
    os::{fd::OwnedFd, unix::process::ExitStatusExt},
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytesize::ByteSize;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    net::UnixStream,
    process::{Child, ChildStderr},
    sync::mpsc::{self, error::TrySendError},
};
use tokio_util::sync::CancellationToken;

use super::message::Message;
use crate::{
    config::NodeConfig,
    confine::Confinement,
    engines::table::EngineCommand,
    frames::{self, Command, FrameReader, FrameWriter, LoadSpec},
};

/// Number of last lines of standard error that are searched for the reason for a worker's end.
const STDERR_TAIL_LINES: usize = 3;
/// Time for which standard error is read after the process has ended.
const STDERR_TIMEOUT: Duration = Duration::from_secs(1);

/// Time for a worker to save its prefix cache before it is killed.
pub(super) const SHUTDOWN_GRACE: Duration = Duration::from_secs(12);

/// Commands that the process hasn't read. It reads them even while it loads and computes; a process that has left so many unread
/// hangs, and is killed. More than the actor sends at once: a run for each slot, and all requests to count tokens.
const COMMANDS_MAX_COUNT: usize = 1024;

/// A running worker. Dropping it ends the process: at once, or after it has saved its prefix cache.
#[derive(Debug)]
pub(super) struct Worker {
    commands: mpsc::Sender<Command>,
    killed: CancellationToken,
    /// It saves its prefix cache before it ends.
    saves_prefixes: bool,
    /// The number of this process: reports of an earlier process for the same model have another.
    pub(super) epoch: u64,
    pub(super) pid: Option<u32>,
}

impl Worker {
    /// Starts the process of an engine for `model` and sends it the command to load. Its reports are sent to `inbox`.
    pub(super) fn spawn(
        config: &NodeConfig,
        engine: &EngineCommand,
        confinement: &Confinement,
        model: &str,
        spec: LoadSpec,
        epoch: u64,
        inbox: mpsc::Sender<Message>,
    ) -> io::Result<Self> {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let confined = serde_json::to_string(confinement).map_err(io::Error::other)?;
        let mut child = tokio::process::Command::new(&engine.program)
            .arg0(engine.name)
            .args(&engine.arguments)
            .args(["--confinement", &confined])
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            // So that a model file that exploits the worker finds no secrets.
            .env_clear()
            .envs(config.worker_environment.iter().map(|(name, value)| (name, value)))
            // Else an abort in ggml starts a debugger to print a backtrace.
            .env("GGML_NO_BACKTRACE", "1")
            // Has glibc allocate huge pages. A step reads all weights once: with pages of 4 KiB, a good part of its time
            // is address translation. Other C libraries ignore it.
            .env("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1")
            // Threads of an engine in Rust; llama.cpp's get their number with the load.
            .env("RAYON_NUM_THREADS", spec.threads.to_string())
            // A terminal's Ctrl-C reaches the supervisor alone, which then shuts its workers down.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let (reports, writer) = frames::split(UnixStream::from_std(ours)?);
        let (commands, outbox) = mpsc::channel(COMMANDS_MAX_COUNT);
        let saves_prefixes = spec.prefix_folder.is_some();
        let _ = commands.try_send(Command::Load(spec));
        tokio::spawn(write(writer, outbox));
        let killed = CancellationToken::new();
        let worker = Self { commands, killed, saves_prefixes, epoch, pid: child.id() };
        let (model, killed) = (model.to_owned(), worker.killed.clone());
        let monitor = Monitor { model, epoch, inbox, killed, memory_bytes: confinement.memory_bytes };
        let stderr = child.stderr.take();
        tokio::spawn(async move { monitor.run(child, stderr, reports).await });
        Ok(worker)
    }

    /// Sends a command to the process. If the process has ended, or reads no commands, [`Message::Exited`] reports that.
    pub(super) fn send(&self, command: Command) {
        if let Err(TrySendError::Full(_)) = self.commands.try_send(command) {
            tracing::error!(pid = self.pid, "a worker reads no commands, and is killed");
            self.killed.cancel();
        }
    }

    /// Kills the process, which hangs or has failed.
    pub(super) fn kill(self) {
        self.killed.cancel();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        match tokio::runtime::Handle::try_current() {
            // Dropping `commands` closes the socket, which is the process' signal to end.
            Ok(runtime) if self.saves_prefixes => {
                let killed = self.killed.clone();
                runtime.spawn(async move {
                    tokio::time::sleep(SHUTDOWN_GRACE).await;
                    killed.cancel();
                });
            }
            _ => self.killed.cancel(),
        }
    }
}

async fn write(mut writer: FrameWriter, mut outbox: mpsc::Receiver<Command>) {
    while let Some(command) = outbox.recv().await {
        if let Err(error) = writer.send(&command).await {
            tracing::debug!(%error, "a worker's socket is closed");
            return;
        }
    }
}

/// Forwards the reports of a process, and reports its end.
struct Monitor {
    model: String,
    epoch: u64,
    inbox: mpsc::Sender<Message>,
    killed: CancellationToken,
    /// The process' memory limit.
    memory_bytes: Option<u64>,
}

impl Monitor {
    async fn run(self, mut child: Child, stderr: Option<ChildStderr>, reports: FrameReader) {
        let tail = Arc::new(Mutex::new(VecDeque::new()));
        let mut stderr_reader = tokio::spawn(read_stderr(self.model.clone(), stderr, Arc::clone(&tail)));
        tokio::select! {
            () = self.forward(reports) => {}
            () = self.killed.cancelled() => {}
        }
        // The process has closed the socket or violated the protocol, or is to be killed.
        let _ = child.start_kill();
        let status = child.wait().await;
        // A child process of it may hold standard error open.
        if tokio::time::timeout(STDERR_TIMEOUT, &mut stderr_reader).await.is_err() {
            stderr_reader.abort();
        }
        // An abort for lack of memory is no sign of broken backends.
        let signal = status.as_ref().ok().and_then(ExitStatusExt::signal);
        let signal = signal.filter(|_| !ran_out_of_memory(&tail));
        // Clients see the reason. Standard error may contain paths and prompts, so that is only logged.
        let reason = match status {
            Ok(_) if ran_out_of_memory(&tail) => out_of_memory(self.memory_bytes),
            Ok(status) => format!("its process ended: {status}; the node's log has details"),
            Err(error) => format!("the status of its process can't be read: {error}"),
        };
        let exited = Message::Exited { model: self.model, epoch: self.epoch, reason, signal };
        let _ = self.inbox.send(exited).await;
    }

    async fn forward(&self, mut reports: FrameReader) {
        loop {
            match reports.next().await {
                Ok(Some(report)) => {
                    let (model, epoch) = (self.model.clone(), self.epoch);
                    if self.inbox.send(Message::Report { model, epoch, report }).await.is_err() {
                        return;
                    }
                }
                Ok(None) => return,
                Err(error) => {
                    tracing::warn!(model = %self.model, %error, "a worker sent an invalid frame");
                    return;
                }
            }
        }
    }
}

/// The last lines of standard error.
type StderrTail = Mutex<VecDeque<String>>;

/// Logs the process' standard error, and stores its last lines.
async fn read_stderr(model: String, stderr: Option<ChildStderr>, tail: Arc<StderrTail>) {
    let Some(stderr) = stderr else { return };
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        tracing::warn!(model, line, "worker");
        let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
        if tail.len() == STDERR_TAIL_LINES {
            tail.pop_front();
        }
        tail.push_back(line);
    }
}

/// Returns whether the last lines are the message of a failed allocation, in Rust or C++.
fn ran_out_of_memory(tail: &StderrTail) -> bool {
    let tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
    let messages = ["memory allocation of", "std::bad_alloc", "Cannot allocate memory", "out of memory"];
    tail.iter().any(|line| messages.iter().any(|message| line.contains(message)))
}

fn out_of_memory(limit: Option<u64>) -> String {
    match limit {
        Some(bytes) => format!(
            "its process needed more memory than its limit of {}; node.worker_memory sets the limit",
            ByteSize(bytes)
        ),
        None => "its process needed more memory than the machine has".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use hearth_wire::node::NodeCountBody;

    use super::*;

    #[tokio::test]
    async fn worker_that_reads_no_commands_is_killed() {
        let config = NodeConfig::new("no-models".into(), "no-binary".into());
        let sleeps =
            EngineCommand { program: "/bin/sh".into(), name: "sh", arguments: vec!["-c", "exec sleep 600"] };
        let spec = LoadSpec {
            path: "no-file".into(),
            backends: Vec::new(),
            context_length: 1,
            context_length_min: 1,
            slots: 1,
            threads: 1,
            gpu_layers: 0,
            saved_prefix_bytes: 0,
            prefix_folder: None,
            parse_special_in_user_text: false,
        };
        let (inbox, mut messages) = mpsc::channel(1);
        let worker = Worker::spawn(&config, &sleeps, &Confinement::default(), "m", spec, 7, inbox).unwrap();
        let body = NodeCountBody { model: "m".into(), task: None, texts: vec!["x".repeat(4096)] };
        // The socket's buffer takes some of them.
        for request in 0..2 * COMMANDS_MAX_COUNT as u64 {
            worker.send(Command::Count { request, body: Box::new(body.clone()) });
            tokio::task::yield_now().await;
        }
        let message = tokio::time::timeout(Duration::from_secs(20), messages.recv()).await.unwrap();
        let Some(Message::Exited { epoch: 7, signal: Some(9), .. }) = message else { panic!("{message:?}") };
    }

    #[test]
    fn failed_allocation_is_recognised_by_its_message() {
        for (line, out) in [
            ("memory allocation of 4096 bytes failed", true),
            ("terminate called after throwing an instance of 'std::bad_alloc'", true),
            ("GGML_ASSERT(n > 0) failed", false),
        ] {
            let tail = Mutex::new(VecDeque::from([line.to_owned(), "Aborted".to_owned()]));
            assert_eq!(ran_out_of_memory(&tail), out, "{line}");
        }
        assert!(out_of_memory(Some(2 << 30)).contains("2.0 GiB"));
    }
}
