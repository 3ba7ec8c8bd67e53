//! What llama.cpp can compute on here, asked in a process of its own: a driver that hangs or aborts takes
//! only that with it.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use llama_cpp_2::{LlamaBackendDevice, LlamaBackendDeviceType, list_llama_ggml_backend_devices};
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

/// Looks, in this process, at the devices of these libraries.
///
/// # Errors
/// If a library can't be loaded, or llama.cpp can't be readied.
pub fn look(libraries: &[PathBuf]) -> Result<Probe, String> {
    let _backend = super::llama::backend::init(libraries)?;
    let devices = list_llama_ggml_backend_devices().into_iter().map(Device::from).collect();
    let built_for = BUILT_FOR.into_iter().filter(|(_, built)| *built);
    Ok(Probe { devices, built_for: built_for.map(|(name, _)| name.to_owned()).collect() })
}

/// Has `executable` look at the devices of `libraries`, by its `engine probe` command.
///
/// # Errors
/// If that process can't be started, crashes, hangs, or says something else.
pub async fn ask(executable: &Path, libraries: &[PathBuf]) -> Result<Probe, ProbeError> {
    ask_within(executable, libraries, DEADLINE).await
}

async fn ask_within(
    executable: &Path,
    libraries: &[PathBuf],
    deadline: Duration,
) -> Result<Probe, ProbeError> {
    let backends = libraries.iter().flat_map(|library| [OsStr::new("--backend"), library.as_os_str()]);
    let child = Command::new(executable)
        .arg0("hearth")
        .args(["engine", "probe"])
        .args(backends)
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

/// The GPUs among `devices` that llama.cpp puts layers on: those with memory of their own, else those of one
/// backend that share the machine's. Of a GPU that several backends reach, the first's.
#[must_use]
pub fn gpus(devices: &[Device]) -> Vec<&Device> {
    let mut gpus: Vec<&Device> = Vec::new();
    for gpu in devices.iter().filter(|device| device.kind == DeviceKind::Gpu) {
        let same = |other: &&Device| other.backend != gpu.backend && other.description == gpu.description;
        if !gpus.iter().any(same) {
            gpus.push(gpu);
        }
    }
    if gpus.is_empty() {
        let integrated = || devices.iter().filter(|device| device.kind == DeviceKind::IntegratedGpu);
        let first = integrated().next();
        gpus.extend(integrated().filter(|gpu| first.is_some_and(|first| gpu.backend == first.backend)));
    }
    gpus
}

/// What is free of a device's memory. ggml takes what is used from what the driver allows, without a sign:
/// where more is used than that, the difference is huge.
fn free(told: usize, total: usize) -> u64 {
    if isize::try_from(told).is_ok() { told.min(total) as u64 } else { 0 }
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
            memory_free: free(device.memory_free, device.memory_total),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

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
            match ask_within(&path, &[], Duration::from_secs(30)).await {
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

    fn device(name: &str, backend: &str, description: &str, kind: DeviceKind) -> Device {
        let (name, backend, description) = (name.to_owned(), backend.to_owned(), description.to_owned());
        Device { name, description, backend, kind, memory_total: 8 << 30, memory_free: 8 << 30 }
    }

    #[test]
    fn layers_go_to_gpus_with_memory_of_their_own_first_and_to_none_twice() {
        let cpu = || device("CPU", "CPU", "EPYC", DeviceKind::Cpu);
        let cuda = |n: u32| device(&format!("CUDA{n}"), "CUDA", "NVIDIA H200", DeviceKind::Gpu);
        let vulkan = |n: u32| device(&format!("Vulkan{n}"), "Vulkan", "NVIDIA H200", DeviceKind::Gpu);
        let shared = |name: &str, backend| device(name, backend, "Radeon 780M", DeviceKind::IntegratedGpu);
        for (devices, taken) in [
            (vec![], &[][..]),
            (vec![cpu()], &[]),
            (vec![cuda(0), cuda(1), cpu()], &["CUDA0", "CUDA1"]),
            (vec![cuda(0), cuda(1), vulkan(0), vulkan(1), cpu()], &["CUDA0", "CUDA1"]),
            (vec![vulkan(0), shared("Vulkan1", "Vulkan"), cpu()], &["Vulkan0"]),
            (vec![shared("ROCm0", "ROCm"), shared("Vulkan0", "Vulkan"), cpu()], &["ROCm0"]),
        ] {
            let names: Vec<&str> = gpus(&devices).iter().map(|gpu| gpu.name.as_str()).collect();
            assert_eq!(names, taken);
        }
    }

    #[test]
    fn memory_that_is_used_beyond_the_budget_is_not_free() {
        assert_eq!(free(3 << 30, 8 << 30), 3 << 30);
        assert_eq!(free(0_usize.wrapping_sub(1 << 20), 8 << 30), 0);
        assert_eq!(free(9 << 30, 8 << 30), 8 << 30);
    }

    #[tokio::test]
    async fn a_probe_that_hangs_is_ended() {
        let (_folder, path) = program("exec sleep 600");
        let ended = loop {
            match ask_within(&path, &[], Duration::from_millis(300)).await {
                Err(ProbeError::Start(error)) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => {}
                other => break other,
            }
        };
        assert!(matches!(ended, Err(ProbeError::Deadline)), "{ended:?}");
        assert!(ask(Path::new("/nowhere/hearth"), &[]).await.is_err());
    }
}
