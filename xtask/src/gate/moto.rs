//! The tests `in_moto`: the store's suite and the CLI's commands on AWS, against moto, an implementation of DynamoDB, S3 and
//! Secrets Manager that isn't the project's own.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};

use super::Outcome;
use crate::shell;
use crate::venv::Venv;
use crate::workspace::{WHOLE_WORKSPACE, Workspace};

const REQUIREMENTS: &str = "tests/moto/requirements.txt";
/// The filter of the tests. They are ignored elsewhere, where no moto runs.
const TESTS: &str = "test(in_moto)";
/// The server prints it before its address.
const ANNOUNCEMENT: &str = "Running on ";
/// It imports a good part of Python's libraries, on a machine that may be busy.
const START_TIMEOUT: Duration = Duration::from_secs(60);

pub(super) fn run(workspace: &Workspace) -> Result<Outcome> {
    let venv = Venv::from_file(workspace, "venv-moto", REQUIREMENTS)?;
    let log = workspace.target.join("moto.log");
    let server =
        Server::start(venv.command(workspace, "moto_server").args(["-H", "127.0.0.1", "-p", "0"]), &log)
            .with_context(|| format!("moto doesn't start; see {}", log.display()))?;
    println!("moto at {}", server.url);
    let mut tests = workspace.cargo(["nextest", "run"]);
    tests.args(WHOLE_WORKSPACE);
    tests.args(["--run-ignored", "only", "--filterset", TESTS]);
    shell::run(at(&mut tests, &server.url)).with_context(|| format!("moto's log is {}", log.display()))?;
    Ok(Outcome::Passed)
}

/// Has the AWS clients of `command` call `url`, without an account of the environment.
fn at<'a>(command: &'a mut Command, url: &str) -> &'a mut Command {
    command
        .env("AWS_ENDPOINT_URL", url)
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "none")
        .env("AWS_SECRET_ACCESS_KEY", "none")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env_remove("AWS_PROFILE")
        .env_remove("AWS_SESSION_TOKEN")
}

/// A moto server. It is killed when this value is dropped.
struct Server {
    process: Child,
    url: String,
}

impl Server {
    /// Starts it, and waits until it listens.
    fn start(command: &mut Command, log: &Path) -> Result<Self> {
        println!("$ {}", shell::line(command));
        let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut process =
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let address = process.stderr.take().map(|pipe| address_in(pipe, file));
        let mut server = Self { process, url: String::new() };
        let address = address.context("it has no stderr")?.recv_timeout(START_TIMEOUT);
        server.url =
            address.map_err(|_| anyhow!("it printed no address within {} s", START_TIMEOUT.as_secs()))?;
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only if it has ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Copies the lines of a pipe to `log`, and sends the address that one of them announces. The pipe is read to its end: a
/// full one would block the writer.
fn address_in(pipe: impl io::Read + Send + 'static, mut log: File) -> Receiver<String> {
    let (sender, address) = channel();
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            // The log is only for a person.
            let _ = writeln!(log, "{line}");
            if let Some((_, url)) = line.split_once(ANNOUNCEMENT) {
                drop(sender.send(url.trim().to_owned()));
            }
        }
    });
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_is_read_from_the_log() {
        let path = std::env::temp_dir().join(format!("hearth-moto-log-{}", std::process::id()));
        let lines = "WARNING: a server\n * Running on http://127.0.0.1:38047\nPress CTRL+C to quit\n";
        let address = address_in(lines.as_bytes(), File::create(&path).unwrap());
        assert_eq!(address.recv().unwrap(), "http://127.0.0.1:38047");
        assert!(address.recv().is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), lines);
        std::fs::remove_file(path).unwrap();
    }
}
