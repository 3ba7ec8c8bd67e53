//! A worker process, from the supervisor's side.

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
    sync::mpsc,
};
use tokio_util::sync::CancellationToken;

use super::actor::Message;
use crate::{
    NodeConfig,
    confine::Confinement,
    frames::{self, Command, FrameReader, FrameWriter, LoadSpec},
};

/// How much of a worker's last words is kept, in lines.
const LAST_WORDS: usize = 3;
/// How long they are waited for once the process has ended.
const LAST_WORDS_WAIT: Duration = Duration::from_secs(1);

/// How long a worker that keeps something on disk may take to end.
pub(super) const FAREWELL: Duration = Duration::from_secs(12);

/// A running worker. Dropping it ends the process: at once, or once it has kept what it is to keep.
#[derive(Debug)]
pub(super) struct Worker {
    commands: mpsc::UnboundedSender<Command>,
    killed: CancellationToken,
    /// It writes something before it ends.
    keeps: bool,
    /// Tells this process' reports from those of an earlier one for the same model.
    pub(super) epoch: u64,
    pub(super) pid: Option<u32>,
}

impl Worker {
    /// Starts a process for `model` and tells it to load; what it reports goes to `inbox`.
    pub(super) fn spawn(
        config: &NodeConfig,
        confinement: &Confinement,
        model: &str,
        spec: LoadSpec,
        epoch: u64,
        inbox: mpsc::UnboundedSender<Message>,
    ) -> io::Result<Self> {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let confined = serde_json::to_string(confinement).map_err(io::Error::other)?;
        let mut child = tokio::process::Command::new(&config.executable)
            .arg0("hearth")
            .args(["engine", "llama", "--confinement", &confined])
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            // A model file that takes the worker over finds no secrets there.
            .env_clear()
            .envs(config.worker_environment.iter().map(|(name, value)| (name, value)))
            // Else an abort in ggml starts a debugger to print a backtrace.
            .env("GGML_NO_BACKTRACE", "1")
            // Has glibc ask for huge pages. A step reads all weights once: in pages of 4 KiB a good part
            // of its time goes to finding where they are.
            // Another C library doesn't look at it.
            .env("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1")
            // A terminal's Ctrl-C is for the supervisor, which then ends its workers in order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let (reports, writer) = frames::split(UnixStream::from_std(ours)?);
        let (commands, outbox) = mpsc::unbounded_channel();
        let keeps = spec.prefix_folder.is_some();
        let _ = commands.send(Command::Load(spec));
        tokio::spawn(write(writer, outbox));
        let worker = Self { commands, killed: CancellationToken::new(), keeps, epoch, pid: child.id() };
        let (model, killed) = (model.to_owned(), worker.killed.clone());
        let watch = Watch { model, epoch, inbox, killed, memory_bytes: confinement.memory_bytes };
        let stderr = child.stderr.take();
        tokio::spawn(async move { watch.run(child, stderr, reports).await });
        Ok(worker)
    }

    /// Says something to the process; if it is gone, its end is reported anyway.
    pub(super) fn send(&self, command: Command) {
        let _ = self.commands.send(command);
    }
}

impl Worker {
    /// Ends the process at once: it hangs, or has failed.
    pub(super) fn kill(self) {
        self.killed.cancel();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        match tokio::runtime::Handle::try_current() {
            // With `commands` the socket is closed, which is how it learns that it is to end.
            Ok(runtime) if self.keeps => {
                let killed = self.killed.clone();
                runtime.spawn(async move {
                    tokio::time::sleep(FAREWELL).await;
                    killed.cancel();
                });
            }
            _ => self.killed.cancel(),
        }
    }
}

async fn write(mut writer: FrameWriter, mut outbox: mpsc::UnboundedReceiver<Command>) {
    while let Some(command) = outbox.recv().await {
        if let Err(error) = writer.send(&command).await {
            tracing::debug!(%error, "a worker's socket is closed");
            return;
        }
    }
}

/// Follows a process to its end.
struct Watch {
    model: String,
    epoch: u64,
    inbox: mpsc::UnboundedSender<Message>,
    killed: CancellationToken,
    /// The memory that it may have.
    memory_bytes: Option<u64>,
}

impl Watch {
    async fn run(self, mut child: Child, stderr: Option<ChildStderr>, reports: FrameReader) {
        let words = Arc::new(Mutex::new(VecDeque::new()));
        let mut listener = tokio::spawn(listen(self.model.clone(), stderr, Arc::clone(&words)));
        tokio::select! {
            () = self.follow(reports) => {}
            () = self.killed.cancelled() => {}
        }
        // It has hung up, broken the protocol, or is to go: in each case it must end now.
        let _ = child.start_kill();
        let status = child.wait().await;
        // A process of its own that it has left behind may hold its standard error open.
        if tokio::time::timeout(LAST_WORDS_WAIT, &mut listener).await.is_err() {
            listener.abort();
        }
        // One that aborts for want of memory says nothing of its backends.
        let signal = status.as_ref().ok().and_then(ExitStatusExt::signal);
        let signal = signal.filter(|_| !ran_out_of_memory(&words));
        // Clients are told how it ended. What it said may have paths and prompts: that is in the log alone.
        let how = match status {
            Ok(_) if ran_out_of_memory(&words) => out_of_memory(self.memory_bytes),
            Ok(status) => format!("its process ended: {status}; the node's log has more"),
            Err(error) => format!("its process was lost: {error}"),
        };
        let _ = self.inbox.send(Message::Exited { model: self.model, epoch: self.epoch, how, signal });
    }

    async fn follow(&self, mut reports: FrameReader) {
        loop {
            match reports.next().await {
                Ok(Some(report)) => {
                    let (model, epoch) = (self.model.clone(), self.epoch);
                    if self.inbox.send(Message::Report { model, epoch, report }).is_err() {
                        return;
                    }
                }
                Ok(None) => return,
                Err(error) => {
                    tracing::warn!(model = %self.model, %error, "a worker can't be understood");
                    return;
                }
            }
        }
    }
}

type Words = Mutex<VecDeque<String>>;

/// Logs what the process writes to its standard error, and keeps the last of it.
async fn listen(model: String, stderr: Option<ChildStderr>, words: Arc<Words>) {
    let Some(stderr) = stderr else { return };
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        tracing::warn!(model, line, "worker");
        let mut kept = words.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == LAST_WORDS {
            kept.pop_front();
        }
        kept.push_back(line);
    }
}

/// Whether its last words are those of an allocation that failed, in Rust or C++.
fn ran_out_of_memory(words: &Words) -> bool {
    let kept = words.lock().unwrap_or_else(PoisonError::into_inner);
    let marks = ["memory allocation of", "std::bad_alloc", "Cannot allocate memory", "out of memory"];
    kept.iter().any(|line| marks.iter().any(|mark| line.contains(mark)))
}

fn out_of_memory(limit: Option<u64>) -> String {
    match limit {
        Some(bytes) => format!(
            "its process wanted more memory than the {} that it may have; node.worker_memory sets that limit",
            ByteSize(bytes)
        ),
        None => "its process wanted more memory than there is".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_allocations_are_told_from_other_ends() {
        for (line, out) in [
            ("memory allocation of 4096 bytes failed", true),
            ("terminate called after throwing an instance of 'std::bad_alloc'", true),
            ("GGML_ASSERT(n > 0) failed", false),
        ] {
            let words = Mutex::new(VecDeque::from([line.to_owned(), "Aborted".to_owned()]));
            assert_eq!(ran_out_of_memory(&words), out, "{line}");
        }
        assert!(out_of_memory(Some(2 << 30)).contains("2.0 GiB"));
    }
}
