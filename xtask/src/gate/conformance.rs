//! The vendors' own SDKs, clients and suites, each against a gateway that is started for it.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};

use super::Outcome;
use super::gateway::{Gateway, Ready};
use super::scratch::Scratch;
use crate::shell;
use crate::venv::Venv;
use crate::workspace::{BUILD_BINARIES, Workspace};

const PYTHON: &str = "tests/sdk/python";
/// Suite of streamed answers, which also runs against an emulated cloud stack with a box.
const STREAM_SUITE: &str = "test_stream.py";
/// Suite that also runs with an older SDK of Anthropic's.
const OLDER_SDK_SUITE: &str = "test_tool_runner.py";
const EMBEDDING_MODEL: &str = "models/tiny-embed/tiny-embed.gguf";
const JAVASCRIPT: &str = "tests/sdk/javascript";
/// Command lines of vendors, which the suites for Node run.
const CLIENTS: &str = "tests/sdk/clients";
/// The first start creates keys and tables and loads a model, on a machine that may be busy.
const START_TIMEOUT: Duration = Duration::from_secs(120);
/// Long enough for running requests to end.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);
/// Lines of the gateway's log that a failure shows.
const LOG_TAIL_LINES: usize = 80;
/// Last lines of Node's report, with the number of passed tests.
const SUMMARY_LINES: usize = 8;

/// Adds the gateway's address, token and models to a suite's command.
type Configure<'a> = dyn for<'c> Fn(&'c mut Command) -> &'c mut Command + 'a;

pub(super) fn run(workspace: &Workspace) -> Result<Outcome> {
    // First all steps that can fail without the gateway.
    let venv = Venv::from_file(workspace, "venv-sdk", &format!("{PYTHON}/requirements.txt"))?;
    let older = format!("{PYTHON}/requirements-anthropic-0.txt");
    let older = Venv::from_file(workspace, "venv-sdk-anthropic-0", &older)?;
    install_packages(workspace, JAVASCRIPT)?;
    install_packages(workspace, CLIENTS)?;
    shell::run(&mut workspace.cargo(BUILD_BINARIES))?;

    // Both at once, each with a gateway of its own, so that they don't share its load.
    let (python, javascript) = thread::scope(|scope| {
        let javascript =
            scope.spawn(|| with_gateway(workspace, "javascript", |configure| node(workspace, configure)));
        let pytest = |venv: &Venv, path: &str| {
            let mut pytest = venv.command(workspace, "python");
            pytest.args(["-m", "pytest", "-q", path]);
            pytest
        };
        let mut newest = pytest(&venv, PYTHON);
        let mut older = pytest(&older, &format!("{PYTHON}/{OLDER_SDK_SUITE}"));
        let python = with_gateway(workspace, "python", |configure| {
            shell::run(configure(&mut newest))?;
            shell::run(configure(&mut older))
        });
        (python, javascript.join().unwrap_or_else(|_| Err(anyhow!("the suite's thread panicked"))))
    });
    python.and(javascript)?;
    // After the others: its many processes would slow them down.
    let mut cloud = venv.command(workspace, "python");
    cloud.args(["-m", "pytest", "-q", &format!("{PYTHON}/{STREAM_SUITE}")]);
    in_cloud(workspace, &mut cloud)?;
    Ok(Outcome::Passed)
}

/// Runs a suite against an emulated cloud stack, whose answers are those of a box that was enrolled in it.
fn in_cloud(workspace: &Workspace, suite: &mut Command) -> Result<()> {
    let log = workspace.target.join("sdk-cloud.log");
    let file = fs::File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
    let mut cloud = workspace.command(workspace.binary("dev", "emulated-cloud"));
    let cloud = Gateway::start(cloud.stderr(file), START_TIMEOUT)?;
    println!("cloud at {}", cloud.ready.url);
    let passed = shell::run(of_gateway(suite, &cloud.ready));
    // It fails if a function has called what its role doesn't allow.
    let result = passed.and(cloud.stop(STOP_TIMEOUT));
    if result.is_err() {
        println!("\nthe end of {}:\n{}", log.display(), tail(&read(&log), LOG_TAIL_LINES));
    }
    result
}

/// Runs the suites for Node. Their output is printed at the end: pytest uses the terminal meanwhile.
fn node(workspace: &Workspace, configure: &Configure<'_>) -> Result<()> {
    let log = workspace.target.join("sdk-javascript.log");
    let open = || fs::File::create(&log).with_context(|| format!("cannot write {}", log.display()));
    let (out, path) = (open()?, workspace.root.join(JAVASCRIPT));
    let err = out.try_clone().context("a file has one handle only")?;
    let mut node = workspace.command("node");
    // One file after the other: four of them play the vendor at the same address.
    node.args(["--test", "--test-reporter=spec", "--test-concurrency=1"])
        .current_dir(path)
        .stdout(out)
        .stderr(err);
    let result = shell::run(configure(&mut node));
    let text = read(&log);
    println!("\n{}", if result.is_ok() { tail(&text, SUMMARY_LINES) } else { text });
    result
}

/// Runs `suites` against a gateway of their own. Prints its log if they fail.
fn with_gateway(
    workspace: &Workspace,
    name: &str,
    suites: impl FnOnce(&Configure<'_>) -> Result<()>,
) -> Result<()> {
    let log = workspace.target.join(format!("sdk-gateway-{name}.log"));
    let data = Scratch::new(&format!("sdk-{name}"))?;
    let played = Played { vendor: free_address()?, issuer: free_address()? };
    let result = against(workspace, &data.0, &log, &played, |ready| {
        suites(&|command| configured(command, workspace, ready, &played))
    });
    if result.is_err() {
        println!("\nthe end of {}:\n{}", log.display(), tail(&read(&log), LOG_TAIL_LINES));
    }
    result
}

fn against(
    workspace: &Workspace,
    data: &Path,
    log: &Path,
    played: &Played,
    suites: impl FnOnce(&Ready) -> Result<()>,
) -> Result<()> {
    let models = data.join("models");
    fs::create_dir_all(&models)?;
    let embedding = workspace.root.join(EMBEDDING_MODEL);
    let file = models.join(embedding.file_name().context("a model is a file")?);
    fs::copy(&embedding, file).with_context(|| format!("cannot copy {}", embedding.display()))?;
    let settings = data.join("sdk.toml");
    fs::write(&settings, played.settings())
        .with_context(|| format!("cannot write {}", settings.display()))?;
    let mut hearth = workspace.command(workspace.binary("dev", "hearth"));
    hearth.arg("up").arg("--config").arg(&settings).arg("--data").arg(data).args(["--port", "0", "--json"]);
    let file = fs::File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    let gateway = Gateway::start(hearth.stderr(file), START_TIMEOUT)?;
    println!("gateway at {}", gateway.ready.url);
    let passed = suites(&gateway.ready);
    let stopped = gateway.stop(STOP_TIMEOUT);
    passed.and(stopped)
}

/// Addresses at which the suites play a vendor and an identity provider.
struct Played {
    vendor: String,
    issuer: String,
}

impl Played {
    /// Settings of the vendor, as a provider of each dialect, of the identity provider, and of webhooks to the suites.
    fn settings(&self) -> String {
        let Self { vendor, issuer } = self;
        let provider = |name: &str, kind: &str, path: &str| {
            format!(
                "[providers.{name}]\n{kind}\nbase_url = \"http://{vendor}{path}\"\napi_key = \"sk-played\"\n"
            )
        };
        let identity_provider = format!(
            "[identity_providers.played]\nissuer = \"http://{issuer}\"\nallow_http = true\n\
             client_id = \"hearth-cli\"\nrole = \"viewer\"\n"
        );
        [
            provider("played", "kind = \"openai_compatible\"", "/v1"),
            provider("played_responses", "kind = \"openai\"\napi = \"responses\"", "/v1"),
            provider("played_messages", "kind = \"anthropic\"", "/v1"),
            provider("played_gemini", "kind = \"google\"", "/v1beta"),
            identity_provider,
            "[webhooks]\nprivate_addresses = true\n".to_owned(),
        ]
        .concat()
    }
}

/// Returns an address for the suites to play a server at: a port that is free now, which they bind later.
fn free_address() -> Result<String> {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("there is no free port")?;
    Ok(free.local_addr()?.to_string())
}

fn configured<'a>(
    command: &'a mut Command,
    workspace: &Workspace,
    ready: &Ready,
    played: &Played,
) -> &'a mut Command {
    of_gateway(command, ready)
        .env("HEARTH_EMBEDDING_MODEL", "tiny-embed")
        .env("HEARTH_PLAYED_VENDOR", &played.vendor)
        .env("HEARTH_PLAYED_ISSUER", &played.issuer)
        .env("HEARTH_BINARY", workspace.binary("dev", "hearth"))
        .env("HEARTH_CODEX", client(workspace, "codex"))
        .env("HEARTH_GEMINI_CLI", client(workspace, "gemini"))
}

/// Adds the gateway's address, token and model to a command.
fn of_gateway<'a>(command: &'a mut Command, ready: &Ready) -> &'a mut Command {
    command
        .env("HEARTH_URL", &ready.url)
        .env("HEARTH_TOKEN", &ready.token)
        .env("HEARTH_MODEL", &ready.model)
        // The SDKs honour a proxy, and the gateway is on this machine.
        .env("NO_PROXY", "127.0.0.1,localhost")
}

/// The path of an installed command line.
fn client(workspace: &Workspace, name: &str) -> PathBuf {
    workspace.root.join(CLIENTS).join("node_modules/.bin").join(name)
}

/// `npm ci` in place, once for each lock file: an editor then finds the packages too.
fn install_packages(workspace: &Workspace, folder: &str) -> Result<()> {
    let folder = workspace.root.join(folder);
    let lock = folder.join("package-lock.json");
    let wanted = fs::read_to_string(&lock).with_context(|| format!("cannot read {}", lock.display()))?;
    let stamp = folder.join("node_modules/.lock.stamp");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    // Scripts of packages build native parts, which no suite needs.
    let arguments = ["ci", "--no-audit", "--no-fund", "--ignore-scripts"];
    shell::run(workspace.command("npm").args(arguments).current_dir(&folder))?;
    fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))
}

fn read(log: &Path) -> String {
    fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

fn tail(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}
