//! A self-test's child process, from the parent's side: started, read, and ended when it is silent for too long.

use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader},
    process::{Child, ChildStderr, Command},
};

use super::self_test::Event;

/// What a child may print, in bytes. A test prints about 3 MiB a device.
const OUTPUT_MAX_BYTES: u64 = 64 << 20;
/// How much of its last line on standard error becomes part of a reason, in characters.
const LAST_WORDS_MAX_CHARS: usize = 200;
/// How long its standard error is read once it has ended.
const LAST_WORDS_TIMEOUT: Duration = Duration::from_secs(1);

/// What `engine score` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Score {
    /// `None` for a library without a score.
    pub(super) score: Option<i32>,
}

/// Why a child gave no good answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ChildFailure {
    /// It ended by itself, with an error that it printed.
    Refused(String),
    /// It crashed, hung, or could not be started.
    Broken(String),
}

impl ChildFailure {
    pub(super) fn reason(self) -> String {
        match self {
            Self::Refused(reason) | Self::Broken(reason) => reason,
        }
    }
}

/// Starts children from `executable`, and gives up on those that print nothing for `silence`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Launcher<'a> {
    pub(super) executable: &'a Path,
    pub(super) silence: Duration,
}

impl Launcher<'_> {
    /// Asks for the score of a library.
    pub(super) async fn score(self, library: &Path) -> Result<Option<i32>, ChildFailure> {
        let arguments = ["engine".into(), "score".into(), library.into()];
        let mut score = None;
        self.run(&arguments, Path::new("/"), |line| score = serde_json::from_str::<Score>(line).ok()).await?;
        score.map(|answer| answer.score).ok_or_else(|| ChildFailure::Broken("it printed no score".to_owned()))
    }

    /// Runs the self-test of these libraries together, and gives the events of one that came to its end.
    pub(super) async fn self_test(self, libraries: &[PathBuf]) -> Result<Vec<Event>, ChildFailure> {
        let folder = tempfile::tempdir().map_err(|error| {
            ChildFailure::Broken(format!("there is no folder for temporary files: {error}"))
        })?;
        let mut arguments: Vec<OsString> = vec!["engine".into(), "self-test".into()];
        for library in libraries {
            arguments.extend(["--backend".into(), library.into()]);
        }
        arguments.extend(["--folder".into(), folder.path().into()]);
        let mut events = Vec::new();
        // A line that is no event was printed by a driver.
        let take = |line: &str| events.extend(serde_json::from_str::<Event>(line));
        let ended = self.run(&arguments, folder.path(), take).await;
        if let Some(Event::Failed { reason }) = events.last() {
            return Err(ChildFailure::Refused(format!("{}{reason}", last_case(&events))));
        }
        match ended {
            Ok(()) if events.last() == Some(&Event::Done) => Ok(events),
            Ok(()) => Err(ChildFailure::Broken(format!("{}it ended too early", last_case(&events)))),
            Err(failure) => Err(ChildFailure::Broken(format!("{}{}", last_case(&events), failure.reason()))),
        }
    }

    /// Runs a child to its end, handing each line of its output to `take`.
    async fn run(
        self,
        arguments: &[OsString],
        folder: &Path,
        take: impl FnMut(&str),
    ) -> Result<(), ChildFailure> {
        let mut child = self
            .spawn(arguments, folder)
            .map_err(|error| ChildFailure::Broken(format!("its process could not be started: {error}")))?;
        let words = tokio::spawn(last_words(child.stderr.take()));
        // A child ends when this closes, however this process ends.
        let _stdin = child.stdin.take();
        let read = self.read(&mut child, take).await;
        if read.is_err() {
            let _ = child.start_kill();
        }
        let status = child.wait().await;
        let words = tokio::time::timeout(LAST_WORDS_TIMEOUT, words).await;
        let words = words.ok().and_then(Result::ok).flatten();
        let words = words.map(|words| format!(": {words}")).unwrap_or_default();
        read.map_err(ChildFailure::Broken)?;
        match status {
            Ok(status) if status.success() => Ok(()),
            Ok(status) if status.code().is_some() => {
                Err(ChildFailure::Refused(format!("its process ended with {status}{words}")))
            }
            Ok(status) => Err(ChildFailure::Broken(format!("its process ended with {status}{words}"))),
            Err(error) => Err(ChildFailure::Broken(format!("its process was lost: {error}"))),
        }
    }

    fn spawn(self, arguments: &[OsString], folder: &Path) -> io::Result<Child> {
        Command::new(self.executable)
            .arg0("hearth")
            .args(arguments)
            // A core file goes where it is deleted.
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Else an abort in ggml starts a debugger to print a backtrace.
            .env("GGML_NO_BACKTRACE", "1")
            .env_remove("HEARTH_TOKEN")
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
    }

    async fn read(self, child: &mut Child, mut take: impl FnMut(&str)) -> Result<(), String> {
        let Some(output) = child.stdout.take() else { return Ok(()) };
        let mut lines = BufReader::new(output.take(OUTPUT_MAX_BYTES)).lines();
        loop {
            match tokio::time::timeout(self.silence, lines.next_line()).await {
                Ok(Ok(Some(line))) => take(&line),
                Ok(Ok(None)) => return Ok(()),
                Ok(Err(error)) => return Err(format!("its output cannot be read: {error}")),
                Err(_) => return Err(format!("it hung: no answer for {} s", self.silence.as_secs_f32())),
            }
        }
    }
}

/// The case that computed last, as the beginning of a reason.
fn last_case(events: &[Event]) -> String {
    let mut device = "";
    let mut case = None;
    for event in events {
        match event {
            Event::Device { name } => (device, case) = (name, None),
            Event::Case { name } => case = Some(name),
            _ => {}
        }
    }
    let separator = if device.is_empty() { "" } else { ", " };
    case.map(|case| format!("{device}{separator}{case}: ")).unwrap_or_default()
}

/// The last line on standard error.
async fn last_words(stderr: Option<ChildStderr>) -> Option<String> {
    let mut lines = BufReader::new(stderr?.take(OUTPUT_MAX_BYTES)).lines();
    let mut last = None;
    while let Ok(Some(line)) = lines.next_line().await {
        if !line.trim().is_empty() {
            last = Some(line.trim().chars().take(LAST_WORDS_MAX_CHARS).collect());
        }
    }
    last
}
