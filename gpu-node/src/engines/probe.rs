//! What llama.cpp can compute on here, asked in a process of its own: a driver that hangs or aborts takes
//! only that with it.

use std::{path::Path, process::Stdio, time::Duration};

use llama_cpp_2::{
    LlamaBackendDevice, LlamaBackendDeviceType, LogOptions, list_llama_ggml_backend_devices,
    llama_backend::LlamaBackend, send_logs_to_tracing,
};
use serde::{Deserialize, Serialize};
use tokio::process::Command;

/// How long drivers may take to come up.
const DEADLINE: Duration = Duration::from_secs(20);

/// What llama.cpp finds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// What it can compute on, in its order of preference.
    pub devices: Vec<Device>,
    /// What the program was built with, of `dynamic-backends`, `cuda`, `metal` and `vulkan`.
    pub built_for: Vec<String>,
}

/// The features of this build that say what it computes on.
const BUILT_FOR: [(&str, bool); 4] = [
    ("dynamic-backends", cfg!(feature = "dynamic-backends")),
    ("cuda", cfg!(feature = "cuda")),
    ("metal", cfg!(feature = "metal")),
    ("vulkan", cfg!(feature = "vulkan")),
];

/// Something to compute on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Its short name, such as `CUDA0` or `CPU`.
    pub name: String,
    /// Its maker's name for it.
    pub description: String,
    /// The backend that drives it, such as `CUDA`.
    pub backend: String,
    /// What it is.
    pub kind: DeviceKind,
    /// Its memory, in bytes; zero where it isn't told.
    pub memory_total: u64,
    /// How much of that is free.
    pub memory_free: u64,
}

/// What a device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceKind {
    /// The processor.
    Cpu,
    /// A GPU with memory of its own.
    Gpu,
    /// A GPU that shares the machine's memory.
    IntegratedGpu,
    /// A library that helps the processor.
    Accelerator,
    /// Something else.
    Unknown,
}

/// Why a probe gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The process can't be started.
    #[error("the probe can't be started: {0}")]
    Start(#[from] std::io::Error),
    /// It hung.
    #[error("the probe didn't end within {} s: a driver hangs", DEADLINE.as_secs())]
    Deadline,
    /// It ended without an answer.
    #[error("the probe ended with {status}{}", if words.is_empty() { String::new() } else { format!(": {words}") })]
    Ended {
        /// How the process ended.
        status: String,
        /// The last that it said.
        words: String,
    },
}

/// Looks, in this process.
///
/// # Errors
/// If llama.cpp can't be readied.
pub fn look() -> Result<Probe, String> {
    send_logs_to_tracing(LogOptions::default());
    let _backend = LlamaBackend::init().map_err(|error| error.to_string())?;
    let devices = list_llama_ggml_backend_devices().into_iter().map(Device::from).collect();
    let built_for = BUILT_FOR.into_iter().filter(|(_, built)| *built);
    Ok(Probe { devices, built_for: built_for.map(|(name, _)| name.to_owned()).collect() })
}

/// Has `executable` look, by its `engine probe` command.
///
/// # Errors
/// If that process can't be started, crashes, hangs, or says something else.
pub async fn ask(executable: &Path) -> Result<Probe, ProbeError> {
    ask_within(executable, DEADLINE).await
}

async fn ask_within(executable: &Path, deadline: Duration) -> Result<Probe, ProbeError> {
    let child = Command::new(executable)
        .arg0("hearth")
        .args(["engine", "probe"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // Else an abort in ggml starts a debugger to print a backtrace.
        .env("GGML_NO_BACKTRACE", "1")
        .env_remove("HEARTH_TOKEN")
        .kill_on_drop(true)
        .spawn()?;
    let Ok(output) = tokio::time::timeout(deadline, child.wait_with_output()).await else {
        return Err(ProbeError::Deadline);
    };
    let output = output?;
    let told = String::from_utf8_lossy(&output.stdout);
    // A driver may have said something before.
    let answer = told.lines().rev().find_map(|line| serde_json::from_str(line).ok());
    answer.filter(|_| output.status.success()).ok_or_else(|| {
        let words = String::from_utf8_lossy(&output.stderr);
        let words = words.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
        ProbeError::Ended { status: output.status.to_string(), words: words.trim().to_owned() }
    })
}

impl From<LlamaBackendDevice> for Device {
    fn from(device: LlamaBackendDevice) -> Self {
        Self {
            name: device.name,
            description: device.description,
            backend: device.backend,
            kind: match device.device_type {
                LlamaBackendDeviceType::Cpu => DeviceKind::Cpu,
                LlamaBackendDeviceType::Gpu => DeviceKind::Gpu,
                LlamaBackendDeviceType::IntegratedGpu => DeviceKind::IntegratedGpu,
                LlamaBackendDeviceType::Accelerator => DeviceKind::Accelerator,
                LlamaBackendDeviceType::Unknown => DeviceKind::Unknown,
            },
            memory_total: device.memory_total as u64,
            memory_free: device.memory_free as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

    use super::*;

    /// A program that does as `script` says when it is asked.
    fn program(script: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("program");
        fs::write(&path, format!("#!/bin/sh\n[ \"$1 $2\" = 'engine probe' ] || exit 9\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        (folder, path)
    }

    async fn answer(script: &str) -> Result<Probe, String> {
        let (_folder, path) = program(script);
        // Another test's fork may hold the script open for writing, for a moment.
        loop {
            match ask_within(&path, Duration::from_secs(30)).await {
                Err(ProbeError::Start(error)) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => {}
                other => return other.map_err(|error| error.to_string()),
            }
        }
    }

    #[tokio::test]
    async fn a_probe_answers_or_tells_why_not() {
        let line = r#"{"devices":[],"built_for":["cuda"]}"#;
        let probe = Probe { devices: vec![], built_for: vec!["cuda".to_owned()] };
        assert_eq!(answer(&format!("echo a driver talks; echo '{line}'")).await, Ok(probe));
        let error = answer("echo 'no CUDA-capable device' >&2; kill -ABRT $$").await.unwrap_err();
        assert!(error.contains("signal: 6") && error.contains("no CUDA-capable device"), "{error}");
        let error = answer(&format!("echo '{line}'; exit 3")).await.unwrap_err();
        assert!(error.contains("exit status: 3"), "{error}");
        assert!(answer("echo nothing").await.is_err());
    }

    #[tokio::test]
    async fn a_probe_that_hangs_is_ended() {
        let (_folder, path) = program("exec sleep 600");
        let ended = loop {
            match ask_within(&path, Duration::from_millis(300)).await {
                Err(ProbeError::Start(error)) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => {}
                other => break other,
            }
        };
        assert!(matches!(ended, Err(ProbeError::Deadline)), "{ended:?}");
        assert!(ask(Path::new("/nowhere/hearth")).await.is_err());
    }
}
