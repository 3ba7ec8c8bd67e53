//! Prometheus and Alertmanager with the configuration of `infra/observability`, against a running gateway.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

use super::Outcome;
use super::gateway::Gateway;
use super::scratch::Scratch;
use crate::shell;
use crate::tools::{self, Tool};
use crate::workspace::{BUILD_HEARTH, Workspace};

const CHECK: &str = "infra/observability/check.py";
/// A provider that doesn't answer, for an alert: nothing listens at the port 9 (discard).
const PROVIDER: &str = "unreachable";
const SETTINGS: &str = "[providers.unreachable]\nkind = \"openai_compatible\"\nbase_url = \"http://127.0.0.1:9/v1\"\napi_key = \"none\"\n";
/// The first start creates keys and tables and loads a model, on a machine that may be busy.
const START_TIMEOUT: Duration = Duration::from_secs(120);
/// Long enough for running requests to end.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);

pub(super) fn run(workspace: &Workspace) -> Result<Outcome> {
    tools::ensure_optional(workspace, Some(Tool::Prometheus));
    if !Tool::Prometheus.is_there() {
        return Ok(Outcome::Skipped(
            "Prometheus and Alertmanager are not installed; on Debian `apt-get install prometheus prometheus-alertmanager`",
        ));
    }
    shell::run(&mut workspace.cargo(BUILD_HEARTH))?;
    let data = Scratch::new("observability")?;
    let (settings, log) = (data.0.join("settings.toml"), data.0.join("gateway.log"));
    fs::write(&settings, SETTINGS).with_context(|| format!("cannot write {}", settings.display()))?;
    let mut hearth = workspace.command(workspace.binary("dev", "hearth"));
    hearth
        .arg("up")
        .arg("--config")
        .arg(&settings)
        .arg("--data")
        .arg(&data.0)
        .args(["--port", "0", "--json"]);
    let file = fs::File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
    let gateway = Gateway::start(hearth.stderr(file), START_TIMEOUT)?;
    let mut check = workspace.command("python3");
    // Commands are printed, and variables aren't.
    check.arg(CHECK).args(["--url", &gateway.ready.url, "--provider", PROVIDER]);
    let passed = shell::run(check.env("HEARTH_TOKEN", &gateway.ready.token));
    let stopped = gateway.stop(STOP_TIMEOUT);
    passed.and(stopped).map(|()| Outcome::Passed)
}
