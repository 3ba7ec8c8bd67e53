//! Gateway as a child process: started, read for its address, and stopped by Ctrl-C.

use std::io::{self, BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::shell;

/// Line that `hearth up --json` prints once it serves.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ready {
    pub(super) url: String,
    pub(super) token: String,
    pub(super) model: String,
}

impl Ready {
    fn parse(line: &str) -> Result<Self> {
        let value: serde_json::Value = serde_json::from_str(line)
            .with_context(|| format!("the gateway printed `{line}`, which is not JSON"))?;
        let field = |name: &str| {
            let text = value.get(name).and_then(serde_json::Value::as_str);
            text.map(str::to_owned).with_context(|| format!("the gateway's line has no text `{name}`"))
        };
        Ok(Self { url: field("url")?, token: field("token")?, model: field("model")? })
    }
}

pub(super) struct Gateway {
    pub(super) ready: Ready,
    process: Process,
}

impl Gateway {
    /// Starts it and waits until it serves. The caller redirects its stderr.
    ///
    /// # Errors
    /// It ends first, its line cannot be read, or the deadline passes; then nothing is left running.
    pub(super) fn start(command: &mut Command, deadline: Duration) -> Result<Self> {
        println!("$ {}", shell::line(command));
        let spawned = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let mut child = spawned.with_context(|| format!("cannot start `{}`", shell::line(command)))?;
        let lines = child.stdout.take().map(lines_of).context("the gateway has no stdout")?;
        let process = Process::watch(child);
        let ready = match lines.recv_timeout(deadline) {
            Ok(line) => Ready::parse(&line),
            Err(RecvTimeoutError::Disconnected) => Err(anyhow::anyhow!("the gateway ended before it served")),
            Err(RecvTimeoutError::Timeout) => {
                Err(anyhow::anyhow!("the gateway did not serve within {} s", deadline.as_secs_f64()))
            }
        };
        match ready {
            Ok(ready) => Ok(Self { ready, process }),
            Err(error) => {
                process.signal("KILL");
                Err(error)
            }
        }
    }

    /// Sends Ctrl-C, and waits for a clean end within the deadline.
    ///
    /// # Errors
    /// It had ended already, ends with a failure, or must be killed.
    pub(super) fn stop(self, deadline: Duration) -> Result<()> {
        if let Ok(status) = self.process.exit.try_recv() {
            bail!("the gateway ended while the suites ran ({})", status?);
        }
        self.process.signal("INT");
        match self.process.exit.recv_timeout(deadline) {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => bail!("the gateway was interrupted and ended badly ({status})"),
            Ok(Err(error)) => Err(error).context("cannot wait for the gateway"),
            Err(_) => {
                self.process.signal("KILL");
                bail!("the gateway was interrupted and still ran {} s later", deadline.as_secs_f64())
            }
        }
    }
}

/// Child process that another thread waits for, so that waiting can have a deadline.
struct Process {
    id: u32,
    exit: Receiver<io::Result<ExitStatus>>,
}

impl Process {
    fn watch(mut child: Child) -> Self {
        let (sender, exit) = channel();
        let id = child.id();
        // The receiver may have been dropped by then.
        thread::spawn(move || drop(sender.send(child.wait())));
        Self { id, exit }
    }

    /// Sends a signal by the shell's own `kill`, since small images have no program of that name.
    fn signal(&self, name: &str) {
        shell::answer(Command::new("sh").args(["-c", &format!("kill -{name} {}", self.id)]));
    }
}

/// Returns the lines of a pipe. It is read to its end even if the receiver is dropped: a full pipe would block the writer.
fn lines_of(pipe: impl io::Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = channel();
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            drop(sender.send(line));
        }
    });
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(script: &str, deadline: Duration) -> Result<Gateway> {
        Gateway::start(Command::new("sh").args(["-c", script]).stderr(Stdio::null()), deadline)
    }

    fn failure(script: &str, deadline: Duration) -> String {
        start(script, deadline).err().unwrap().to_string()
    }

    #[test]
    fn line_has_address_token_and_model() {
        let ready = Ready::parse(r#"{"url":"http://127.0.0.1:1","token":"t","model":"m","more":1}"#).unwrap();
        assert_eq!(ready, Ready { url: "http://127.0.0.1:1".into(), token: "t".into(), model: "m".into() });
        assert!(Ready::parse("listening").unwrap_err().to_string().contains("not JSON"));
        assert!(Ready::parse(r#"{"url":"u","token":7}"#).unwrap_err().to_string().contains("`token`"));
    }

    #[test]
    fn gateway_that_never_serves_is_an_error() {
        let long = Duration::from_secs(60);
        assert_eq!(failure("exit 1", long), "the gateway ended before it served");
        assert!(failure("echo hello; exec sleep 60", long).contains("`hello`"));
        let short = Duration::from_millis(50);
        assert_eq!(failure("exec sleep 60", short), "the gateway did not serve within 0.05 s");
    }

    #[test]
    fn gateway_that_ended_by_itself_is_an_error() {
        let gateway =
            start(r#"echo '{"url":"u","token":"t","model":"m"}'; exit 1"#, Duration::from_secs(60)).unwrap();
        assert!(gateway.stop(Duration::from_secs(60)).is_err());
    }
}
