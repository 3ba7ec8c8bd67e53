//! The vendors' own SDKs against a gateway that was started for them.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::Outcome;
use super::gateway::{Gateway, Ready};
use crate::shell;
use crate::venv::Venv;
use crate::workspace::Workspace;

const PYTHON: &str = "tests/sdk/python";
const EMBEDDING_MODEL: &str = "models/tiny-embed/tiny-embed.gguf";
const JAVASCRIPT: &str = "tests/sdk/javascript";
/// The first start makes keys and tables and loads a model, on a machine that may be busy.
const START: Duration = Duration::from_secs(120);
/// Long enough for running requests to end.
const STOP: Duration = Duration::from_secs(20);
/// Lines of the gateway's log that a failure shows.
const TAIL: usize = 80;

pub(super) fn run(workspace: &Workspace) -> Result<Outcome> {
    // Whatever can fail without the gateway comes before it.
    let venv = Venv::from_file(workspace, "venv-sdk", &format!("{PYTHON}/requirements.txt"))?;
    install_javascript(workspace)?;
    shell::run(&mut workspace.cargo(["build", "--workspace", "--bin", "hearth"]))?;

    let log = workspace.target.join("sdk-gateway.log");
    let data = Scratch::new()?;
    let vendor = free_address()?;
    let result = with_gateway(workspace, &data.0, &log, &vendor, |ready| {
        shell::run(told(
            venv.command(workspace, "python").args(["-m", "pytest", "-q", PYTHON]),
            ready,
            &vendor,
        ))?;
        let mut node = workspace.command("node");
        shell::run(told(node.arg("--test").current_dir(workspace.root.join(JAVASCRIPT)), ready, &vendor))
    });
    if result.is_err() {
        println!("\nthe end of {}:\n{}", log.display(), tail(&log));
    }
    result.map(|()| Outcome::Passed)
}

fn with_gateway(
    workspace: &Workspace,
    data: &Path,
    log: &Path,
    vendor: &str,
    suites: impl FnOnce(&Ready) -> Result<()>,
) -> Result<()> {
    let models = data.join("models");
    fs::create_dir_all(&models)?;
    let embedding = workspace.root.join(EMBEDDING_MODEL);
    let file = models.join(embedding.file_name().context("a model is a file")?);
    fs::copy(&embedding, file).with_context(|| format!("cannot copy {}", embedding.display()))?;
    let settings = data.join("sdk.toml");
    let played =
        format!("[providers.played]\nkind = \"openai_compatible\"\nbase_url = \"http://{vendor}/v1\"\n");
    fs::write(&settings, played).with_context(|| format!("cannot write {}", settings.display()))?;
    let mut hearth = workspace.command(workspace.binary("debug", "hearth"));
    hearth.arg("up").arg("--config").arg(&settings).arg("--data").arg(data).args(["--port", "0", "--json"]);
    let file = fs::File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    let gateway = Gateway::start(hearth.stderr(file), START)?;
    println!("gateway at {}", gateway.ready.url);
    let passed = suites(&gateway.ready);
    let stopped = gateway.stop(STOP);
    passed.and(stopped)
}

/// Where the suites play a vendor: a port that is free now, and that they take when they need one.
fn free_address() -> Result<String> {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("there is no free port")?;
    Ok(free.local_addr()?.to_string())
}

fn told<'a>(command: &'a mut Command, ready: &Ready, vendor: &str) -> &'a mut Command {
    command
        .env("HEARTH_URL", &ready.url)
        .env("HEARTH_TOKEN", &ready.token)
        .env("HEARTH_MODEL", &ready.model)
        .env("HEARTH_EMBEDDING_MODEL", "tiny-embed")
        .env("HEARTH_PLAYED_VENDOR", vendor)
        // The SDKs honour a proxy, and the gateway is on this machine.
        .env("NO_PROXY", "127.0.0.1,localhost")
}

/// `npm ci` in place, once for each lock file: an editor then finds the packages too.
fn install_javascript(workspace: &Workspace) -> Result<()> {
    let folder = workspace.root.join(JAVASCRIPT);
    let lock = folder.join("package-lock.json");
    let wanted = fs::read_to_string(&lock).with_context(|| format!("cannot read {}", lock.display()))?;
    let stamp = folder.join("node_modules/.lock.stamp");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    shell::run(workspace.command("npm").args(["ci", "--no-audit", "--no-fund"]).current_dir(&folder))?;
    fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))
}

fn tail(log: &Path) -> String {
    let text = fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL)..].join("\n")
}

/// A folder that is gone when this is.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("hearth-sdk-{}", std::process::id()));
        fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left in the temporary folder is the system's to clear.
        let _ = fs::remove_dir_all(&self.0);
    }
}
