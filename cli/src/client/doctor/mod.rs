//! `hearth doctor`: whether this machine is ready, and what to do where it isn't.
//!
//! `machine` looks at processor and memory, `gpu` at GPUs, `folders` at the disk and the models, and `gateway` at the
//! network; `compute` computes. Nothing is changed. What may hang or crash, backends and drivers, runs in processes of
//! its own ([`probe`], [`hearth_node::backends`]).

mod compute;
mod finding;
mod folders;
mod gateway;
mod gpu;
mod machine;
mod system;

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    thread,
};

use anyhow::Context as _;
use hearth_node::{
    confine,
    engines::probe::{self, Probe},
    memory::{self, Memory},
    storage::Policy,
};
use serde_json::json;

use super::{connection::Connection, error::Told, terminal};
use crate::settings::Source;
use finding::{Finding, Level};

/// Look whether this machine is ready to run models, and say what to do where it isn't
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hearth doctor
  hearth doctor --model Qwen3-0.6B-Q8_0 --port 9000    # the settings of a `hearth up` to come
  hearth doctor --json | jq .healthy")]
pub(crate) struct Doctor {
    #[command(flatten)]
    pub(crate) source: Source,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// What is examined: the settings, as far as they matter here.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    pub(crate) data: PathBuf,
    pub(crate) host: IpAddr,
    pub(crate) port: u16,
    /// Threads for each loaded model.
    pub(crate) threads: u32,
    pub(crate) slots: u32,
    pub(crate) context_length: Option<u32>,
    pub(crate) gpu_layers: u32,
    /// Whether workers are to open only the files that they need.
    pub(crate) worker_sandbox: bool,
    /// A file or an id; absent: the embedded model.
    pub(crate) default_model: Option<PathBuf>,
    pub(crate) embedded_model: String,
    /// Its file's content.
    pub(crate) embedded_file: &'static [u8],
    pub(crate) policy: Policy,
    /// Whether somebody said where the gateway is.
    pub(crate) url_named: bool,
    /// The program that is asked for devices: this one.
    pub(crate) executable: PathBuf,
}

impl Subject {
    fn models_folder(&self) -> PathBuf {
        self.data.join("models")
    }
}

impl Doctor {
    /// Examines, and prints what is found.
    ///
    /// # Errors
    /// If there is a problem, which was printed.
    pub(crate) async fn run(self, subject: &Subject) -> anyhow::Result<()> {
        let of_system = system::findings();
        if tempfile::tempdir().is_err() && subject.data.is_dir() {
            let _ = tempfile::env::override_temp_dir(&subject.data);
        }
        // Deleted at the end: nothing is left behind.
        let folder = tempfile::tempdir().context(
            "there is no folder for temporary files, which the self-test needs; name one in TMPDIR",
        )?;
        let selection = compute::test_backends(subject, folder.path()).await;
        let probe = probe::ask(&subject.executable, &selection.libraries).await;
        let probe = probe.map_err(|error| error.to_string());
        let memory = memory::available();
        let mut findings = machine_findings(subject, &probe, memory);
        findings.extend(of_system);
        findings.extend(compute::backends(&selection));
        findings.extend(folders::folders(subject));
        findings.extend(folders::models(subject, room(subject, &probe, memory)));
        findings.push(gateway::port(subject.host, subject.port).await);
        let (gateway, answers) = gateway::gateway(&self.connection, subject.url_named).await;
        findings.push(gateway);
        match &answers {
            gateway::Answers::Nobody if selection.problem.is_none() => {
                findings.push(compute::ask_worker(subject, &selection, folder.path()).await);
            }
            gateway::Answers::Models(models) => {
                findings.extend(compute::ask_gateway(&self.connection, models).await);
            }
            gateway::Answers::Nobody | gateway::Answers::Nothing => {}
        }
        let healthy = findings.iter().all(|finding| finding.level != Level::Problem);
        if self.connection.json {
            let devices = probe.as_ref().map(|probe| probe.devices.as_slice()).unwrap_or_default();
            terminal::print_json(&json!({
                "healthy": healthy, "findings": findings, "devices": devices, "backends": selection.backends,
                "memory": memory.map(|memory| json!({
                    "total_bytes": memory.total, "available_bytes": memory.available, "limited": memory.limited,
                })),
            }))?;
        } else {
            let lines: String = findings.iter().map(|finding| format!("{finding}\n")).collect();
            terminal::print(&lines)?;
            if healthy && matches!(answers, gateway::Answers::Nobody) {
                terminal::next_steps(false, &["hearth up"]);
            }
        }
        if healthy { Ok(()) } else { Err(Told.into()) }
    }
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
        machine::threads(subject.threads, processors),
        machine::memory(memory),
        machine::engine(probe),
        machine::sandbox(subject.worker_sandbox, confine::has_landlock()),
    ];
    if let Ok(probe) = probe {
        findings.extend(gpu::findings(&gpu::present(Path::new("/")), probe));
    }
    findings
}

/// Where models have to fit: the GPUs' memory if layers go there, else the machine's.
fn room(subject: &Subject, probe: &Result<Probe, String>, memory: Option<Memory>) -> Option<Memory> {
    let sum = |sum: u64, bytes: u64| sum.saturating_add(bytes);
    let on_gpus = probe.as_ref().ok().filter(|_| subject.gpu_layers > 0).and_then(|probe| {
        let gpus = probe::gpus(&probe.devices);
        let total = gpus.iter().map(|gpu| gpu.memory_total).fold(0, sum);
        let available = gpus.iter().map(|gpu| gpu.memory_free).fold(0, sum);
        (total > 0).then_some(Memory { total, available, limited: false })
    });
    on_gpus.or(memory)
}
