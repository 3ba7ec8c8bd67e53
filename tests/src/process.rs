//! `hearth` as a child process.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

use crate::{binary, within};

/// Number of lines of a failed process' standard error that are shown.
const SHOWN_LINES: usize = 60;

/// `hearth` with `arguments`, and nothing of this process' environment. Its settings and caches, were it
/// to keep any, are in `home`.
#[must_use]
pub fn hearth(home: &Path, arguments: &[&str]) -> Command {
    hearth_under(home, &[], arguments)
}

/// The same, started by the program in `under`, whose own arguments stand before the command.
#[must_use]
pub fn hearth_under(home: &Path, under: &[String], arguments: &[&str]) -> Command {
    let hearth = binary("hearth");
    let mut command = match under {
        [] => Command::new(hearth),
        [program, options @ ..] => {
            let mut command = Command::new(program);
            command.args(options).arg(hearth);
            command
        }
    };
    command.args(arguments).env_clear().env("PATH", "/usr/bin:/bin").env("HOME", home);
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// A server: it says in one line of JSON where it is, and serves until it is stopped. Dropping this
/// kills it.
#[derive(Debug)]
pub struct Process {
    child: Child,
    pid: u32,
    stdout: Lines<BufReader<ChildStdout>>,
    /// Where its standard error goes.
    log: PathBuf,
    /// Where it logs to.
    folder: Option<PathBuf>,
}

/// Exit status and output of a process.
#[derive(Debug)]
pub struct Ended {
    /// Its status.
    pub status: ExitStatus,
    /// Its standard output; empty for a server.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

/// Runs `command` to its end, with `input` on its standard input.
///
/// # Panics
/// If it can't be started, or goes on past the deadline.
pub async fn run(mut command: Command, input: &str) -> Ended {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    if let Some(mut stdin) = child.stdin.take() {
        // A command that doesn't read its input may be gone.
        let _ = stdin.write_all(input.as_bytes()).await;
    }
    let output = within("the end of a command", child.wait_with_output()).await;
    let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ended { status: output.status, stdout: text(&output.stdout), stderr: text(&output.stderr) }
}

impl Process {
    /// Starts `command` with its standard error in the file `log`. It stays in the test's process group, so
    /// that whatever kills the test, a terminal or a test runner, reaches it too.
    ///
    /// # Panics
    /// If it can't be started.
    #[must_use]
    pub fn spawn(mut command: Command, log: PathBuf) -> Self {
        let stderr = File::create(&log).unwrap_or_else(|error| panic!("{}: {error}", log.display()));
        command.stdout(Stdio::piped()).stderr(stderr);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let (Some(pid), Some(stdout)) = (child.id(), child.stdout.take()) else {
            panic!("{command:?} is gone")
        };
        Self { child, pid, stdout: BufReader::new(stdout).lines(), log, folder: None }
    }

    /// Says that it logs to files in `folder`, which are shown too if a test fails.
    #[must_use]
    pub fn logging_to(mut self, folder: PathBuf) -> Self {
        self.folder = Some(folder);
        self
    }

    /// Its line of JSON.
    ///
    /// # Panics
    /// If it ends without one, or the line isn't JSON; its standard error is shown.
    pub async fn ready(&mut self) -> Value {
        let line = within("a line from hearth", self.stdout.next_line()).await;
        let Ok(Some(line)) = line else { panic!("hearth ended before it served") };
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("hearth printed {line:?}: {error}"))
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Standard error so far.
    #[must_use]
    pub fn stderr(&self) -> String {
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// If it goes on past the deadline.
    pub async fn ended(&mut self) -> Ended {
        let status = within("the end of hearth", self.child.wait()).await;
        let status = status.unwrap_or_else(|error| panic!("hearth can't be waited for: {error}"));
        Ended { status, stdout: String::new(), stderr: self.stderr() }
    }

    /// Ctrl-C, and a clean end.
    ///
    /// # Panics
    /// If it ends badly, or not in time.
    pub async fn stop(mut self) {
        signal("INT", self.pid).await;
        let ended = self.ended().await;
        assert!(ended.status.success(), "after Ctrl-C hearth ended with {}", ended.status);
    }

    /// `kill -9`, so that it can do nothing more.
    ///
    /// # Panics
    /// If it can't be killed.
    pub async fn kill(mut self) {
        signal("KILL", self.pid).await;
        self.ended().await;
    }
}

impl Process {
    #[expect(clippy::print_stderr, reason = "beside the panic's message it is what a reader needs")]
    fn show_what_it_wrote(&self) {
        let logs = self.folder.as_ref().and_then(|folder| std::fs::read_dir(folder).ok());
        let logs = logs.into_iter().flatten().filter_map(|entry| entry.ok().map(|entry| entry.path()));
        for file in logs.chain([self.log.clone()]) {
            let text = String::from_utf8_lossy(&std::fs::read(&file).unwrap_or_default()).into_owned();
            let lines: Vec<&str> = text.lines().collect();
            let shown = &lines[lines.len().saturating_sub(SHOWN_LINES)..];
            eprintln!("hearth {} wrote last to {}:\n{}", self.pid, file.display(), shown.join("\n"));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.show_what_it_wrote();
        }
    }
}

/// Sends a signal to a process.
///
/// # Panics
/// If there is no such process.
pub async fn signal(name: &str, pid: u32) {
    let mut command = Command::new("kill");
    command.arg(format!("-{name}")).arg(pid.to_string());
    let status = command.status().await.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(status.success(), "no process {pid} takes SIG{name}");
}

/// Returns whether a process is running, by `/proc`.
#[must_use]
pub fn is_running(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    // One that has ended stays a zombie until its new parent asks how.
    status.lines().any(|line| line.starts_with("State:") && !line.contains('Z'))
}
