//! The child process of a self-test, on the parent's side: starts it, reads its output, and kills it when it hangs.

use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use hearth_files::open_files;
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader},
    process::{Child, ChildStderr, Command},
};

use super::self_test::Event;

/// Maximum bytes of a child's output. A test prints about 3 MiB for each device.
const OUTPUT_MAX_BYTES: u64 = 64 << 20;
/// Maximum characters of the last line of standard error that are part of a reason.
const STDERR_LINE_MAX_CHARS: usize = 200;
/// Time for which standard error is read after the child has ended.
const STDERR_TIMEOUT: Duration = Duration::from_secs(1);

/// The output of `engine score`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Score {
    /// `None` for a library without a score.
    pub(super) score: Option<i32>,
}

/// The reason why a child has failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ChildFailure {
    /// It ended by itself, and printed an error.
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

/// Starts children from `executable` with exactly the variables of `environment`, and kills those that print nothing for
/// `silence`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Launcher<'a> {
    pub(super) executable: &'a Path,
    pub(super) environment: &'a [(OsString, OsString)],
    pub(super) silence: Duration,
}

impl Launcher<'_> {
    /// Runs a child that prints the score of a library.
    pub(super) async fn score(self, library: &Path) -> Result<Option<i32>, ChildFailure> {
        let arguments = ["engine".into(), "score".into(), library.into()];
        let mut score = None;
        self.run(&arguments, Path::new("/"), |line| score = serde_json::from_str::<Score>(line).ok()).await?;
        score.map(|answer| answer.score).ok_or_else(|| ChildFailure::Broken("it printed no score".to_owned()))
    }

    /// Runs the self-test of these libraries together, and returns the events of a complete test.
    pub(super) async fn self_test(self, libraries: &[PathBuf]) -> Result<Vec<Event>, ChildFailure> {
        let folder = tempfile::tempdir().map_err(|error| {
            let reason = open_files::describe(&error);
            ChildFailure::Broken(format!("there is no folder for temporary files: {reason}"))
        })?;
        let mut arguments: Vec<OsString> = vec!["engine".into(), "self-test".into()];
        for library in libraries {
            arguments.extend(["--backend".into(), library.into()]);
        }
        arguments.extend(["--folder".into(), folder.path().into()]);
        self.events(&arguments, folder.path()).await
    }

    /// Computes the expected results of the self-test, and returns their events.
    pub(super) async fn reference(self) -> Result<Vec<Event>, ChildFailure> {
        self.events(&["engine".into(), "reference".into()], Path::new("/")).await
    }

    /// Runs a child that prints events, of which the last one says that it has printed all.
    async fn events(self, arguments: &[OsString], folder: &Path) -> Result<Vec<Event>, ChildFailure> {
        let mut events = Vec::new();
        // Other lines were printed by a driver.
        let add_event = |line: &str| events.extend(serde_json::from_str::<Event>(line));
        let ended = self.run(arguments, folder, add_event).await;
        if let Some(Event::Failed { reason }) = events.last() {
            return Err(ChildFailure::Refused(format!("{}{reason}", last_case(&events))));
        }
        match ended {
            Ok(()) if events.last() == Some(&Event::Done) => Ok(events),
            Ok(()) => Err(ChildFailure::Broken(format!("{}it ended too early", last_case(&events)))),
            Err(failure) => Err(ChildFailure::Broken(format!("{}{}", last_case(&events), failure.reason()))),
        }
    }

    /// Runs a child to its end, and passes each line of its output to `handle_line`.
    async fn run(
        self,
        arguments: &[OsString],
        folder: &Path,
        handle_line: impl FnMut(&str),
    ) -> Result<(), ChildFailure> {
        let mut child = self.spawn(arguments, folder).map_err(|error| not_started(&error))?;
        let stderr_line = tokio::spawn(last_stderr_line(child.stderr.take()));
        // Closed at the latest when this process ends, which ends the child.
        let _stdin = child.stdin.take();
        let read = self.read(&mut child, handle_line).await;
        if read.is_err() {
            let _ = child.start_kill();
        }
        let status = child.wait().await;
        let stderr_line = tokio::time::timeout(STDERR_TIMEOUT, stderr_line).await;
        let stderr_line = stderr_line.ok().and_then(Result::ok).flatten();
        let detail = stderr_line.map(|line| format!(": {line}")).unwrap_or_default();
        read.map_err(ChildFailure::Broken)?;
        match status {
            Ok(status) if status.success() => Ok(()),
            Ok(status) if status.code().is_some() => {
                Err(ChildFailure::Refused(format!("its process ended with {status}{detail}")))
            }
            Ok(status) => Err(ChildFailure::Broken(format!("its process ended with {status}{detail}"))),
            Err(error) => {
                Err(ChildFailure::Broken(format!("the status of its process can't be read: {error}")))
            }
        }
    }

    fn spawn(self, arguments: &[OsString], folder: &Path) -> io::Result<Child> {
        Command::new(self.executable)
            .arg0("hearth")
            .args(arguments)
            // The folder of a core file, which is deleted.
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A driver's code finds no secrets, and the libraries what a worker gives them.
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            // Else an abort in ggml starts a debugger to print a backtrace.
            .env("GGML_NO_BACKTRACE", "1")
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
    }

    async fn read(self, child: &mut Child, mut handle_line: impl FnMut(&str)) -> Result<(), String> {
        let Some(output) = child.stdout.take() else { return Ok(()) };
        let mut lines = BufReader::new(output.take(OUTPUT_MAX_BYTES)).lines();
        loop {
            match tokio::time::timeout(self.silence, lines.next_line()).await {
                Ok(Ok(Some(line))) => handle_line(&line),
                Ok(Ok(None)) => return Ok(()),
                Ok(Err(error)) => return Err(format!("its output cannot be read: {error}")),
                Err(_) => return Err(format!("it hung: no answer for {} s", self.silence.as_secs_f32())),
            }
        }
    }
}

fn not_started(error: &io::Error) -> ChildFailure {
    ChildFailure::Broken(format!("its process could not be started: {}", open_files::describe(error)))
}

/// The last started case, as the beginning of a reason.
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

/// Returns the last line of standard error.
async fn last_stderr_line(stderr: Option<ChildStderr>) -> Option<String> {
    let mut lines = BufReader::new(stderr?.take(OUTPUT_MAX_BYTES)).lines();
    let mut last = None;
    while let Ok(Some(line)) = lines.next_line().await {
        if !line.trim().is_empty() {
            last = Some(line.trim().chars().take(STDERR_LINE_MAX_CHARS).collect());
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    #[tokio::test]
    async fn child_has_the_given_environment_alone() {
        let folder = tempfile::tempdir().unwrap();
        let executable = folder.path().join("program");
        let script = "#!/bin/sh\n[ -z \"$HOME\" ] && [ \"$VK_ICD\" = a.json ] && echo '{\"score\":7}'\n";
        fs::write(&executable, script).unwrap();
        fs::set_permissions(&executable, fs::Permissions::from_mode(0o755)).unwrap();
        let environment = [("VK_ICD".into(), "a.json".into())];
        let silence = Duration::from_secs(30);
        let launcher = Launcher { executable: &executable, environment: &environment, silence };
        // Another test's fork may hold the script open for writing, for a moment.
        let score = loop {
            match launcher.score(Path::new("library")).await {
                Err(ChildFailure::Broken(reason)) if reason.contains("Text file busy") => {}
                other => break other,
            }
        };
        assert_eq!(score, Ok(Some(7)));
    }
}
