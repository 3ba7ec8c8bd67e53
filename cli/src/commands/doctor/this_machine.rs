//! Checks whether this machine is ready to run models.
//!
//! Nothing is changed. Backends and drivers, which may hang or crash, run in child processes ([`probe`],
//! [`hearth_node::backends`]).

use std::{
    path::{Path, PathBuf},
    thread,
};

use anyhow::Context as _;
use hearth_node::{
    NodeConfig, confine,
    engines::probe::{self, Probe},
    memory::{self, Memory},
};
use serde_json::json;

use super::{
    compute,
    enrolment::enrolment,
    finding::{Finding, is_healthy, lines, outcome},
    folders, gateway, gpu, machine, system,
};
use crate::{
    client::terminal,
    context::Context,
    home::node_config::own_executable,
    settings::{self, Settings},
};

/// The machine under examination, by the settings.
#[derive(Debug, Clone)]
pub(super) struct Subject {
    pub(super) settings: Settings,
    /// This program, which is started as a child process to list devices.
    pub(super) executable: PathBuf,
}

impl Subject {
    /// Threads for each loaded model.
    pub(super) fn threads(&self) -> u32 {
        let node = NodeConfig::new(PathBuf::new(), PathBuf::new());
        NodeConfig { settings: self.settings.node.clone(), ..node }.threads()
    }

    pub(super) fn slots(&self) -> u32 {
        u32::try_from(self.settings.node.slots).unwrap_or(u32::MAX)
    }
}

/// Examines the machine, and prints the findings.
///
/// # Errors
/// A finding is a problem, which was printed.
pub(super) async fn examine(context: &Context) -> anyhow::Result<()> {
    let subject = &Subject { settings: context.settings.clone(), executable: own_executable()? };
    let connection = &context.connection;
    let system_findings = system::findings();
    if tempfile::tempdir().is_err() && subject.settings.data.is_dir() {
        let _ = tempfile::env::override_temp_dir(&subject.settings.data);
    }
    // Deleted at the end.
    let folder = tempfile::tempdir()
        .context("there is no folder for temporary files, which the self-test needs; name one in TMPDIR")?;
    let selection = compute::test_backends(subject, folder.path()).await;
    let environment = settings::worker_environment();
    let probe = probe::run_probe(&subject.executable, &environment, &selection.libraries).await;
    let probe = probe.map_err(|error| error.to_string());
    let memory = memory::available();
    let mut findings = machine_findings(subject, &probe, memory);
    findings.extend(system_findings);
    findings.extend(compute::backends(&selection));
    findings.extend(folders::folders(subject));
    findings.extend(folders::models(subject, room(subject, &probe, memory)));
    findings.push(gateway::port(subject.settings.host, subject.settings.port).await);
    let (gateway, state) = gateway::gateway(connection, context.is_url_set).await;
    findings.push(gateway);
    let enrolment = enrolment(&subject.settings.data).await;
    let next = if enrolment.is_some() { "hearth node run" } else { "hearth up" };
    findings.extend(enrolment);
    if let gateway::GatewayState::Models(models) = &state {
        findings.extend(compute::test_gateway(connection, models).await);
    }
    let has_answer = findings.iter().any(|finding| finding.about == compute::ANSWER);
    if !has_answer && selection.problem.is_none() {
        // A running gateway may have its default model in memory, and there may be no room for a second copy.
        let is_alone = matches!(state, gateway::GatewayState::Stopped);
        let named = subject.settings.model.as_deref().filter(|_| is_alone);
        findings.push(compute::test_worker(subject, named, &selection, folder.path()).await);
    }
    let healthy = is_healthy(&findings);
    if connection.json {
        let devices = probe.as_ref().map(|probe| probe.devices.as_slice()).unwrap_or_default();
        terminal::print_json(&json!({
            "healthy": healthy, "findings": findings, "devices": devices, "backends": selection.backends,
            "memory": memory.map(|memory| json!({
                "total_bytes": memory.total, "available_bytes": memory.available, "limited": memory.limited,
            })),
        }))?;
    } else {
        terminal::print(&lines(&findings))?;
        if healthy && matches!(state, gateway::GatewayState::Stopped) {
            terminal::next_steps(false, &[next]);
        }
    }
    outcome(healthy)
}

fn machine_findings(
    subject: &Subject,
    probe: &Result<Probe, String>,
    memory: Option<Memory>,
) -> Vec<Finding> {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let every_generation =
        probe.as_ref().is_ok_and(|probe| probe.built_for.iter().any(|feature| feature == "dynamic-backends"));
    let mut findings = vec![
        machine::processor(&machine::features(), every_generation),
        machine::threads(subject.threads(), processors),
        machine::memory(memory),
        machine::engine(probe),
        machine::sandbox(subject.settings.node.worker_sandbox, confine::has_landlock()),
    ];
    if let Ok(probe) = probe {
        findings.extend(gpu::findings(&gpu::present(Path::new("/")), probe));
    }
    findings
}

/// The memory for models: the GPUs' if layers are put there, or else the machine's.
fn room(subject: &Subject, probe: &Result<Probe, String>, memory: Option<Memory>) -> Option<Memory> {
    let sum = |sum: u64, bytes: u64| sum.saturating_add(bytes);
    let on_gpus = probe.as_ref().ok().filter(|_| subject.settings.node.gpu_layers > 0).and_then(|probe| {
        let gpus = probe::gpus(&probe.devices);
        let total = gpus.iter().map(|gpu| gpu.memory_total).fold(0, sum);
        let available = gpus.iter().map(|gpu| gpu.memory_free).fold(0, sum);
        (total > 0).then_some(Memory { total, available, limited: false })
    });
    on_gpus.or(memory)
}
