//! Lists the devices that llama.cpp can compute on, in a process of its own: a driver that hangs or aborts ends only
//! that process.

use std::{
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use llama_cpp_2::{LlamaBackendDevice, LlamaBackendDeviceType, list_llama_ggml_backend_devices};
use serde::{Deserialize, Serialize};
use tokio::process::Command;

/// Time for the drivers to start.
const PROBE_TIMEOUT: Duration = Duration::from_secs(20);

/// The devices that llama.cpp finds, and this build's features.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// Devices in llama.cpp's order of preference.
    pub devices: Vec<Device>,
    /// Features of the program, of `dynamic-backends`, `cuda`, `metal` and `vulkan`.
    pub built_for: Vec<String>,
}

/// Features that select backends, and whether this build has them.
const BUILT_FOR: [(&str, bool); 4] = [
    ("dynamic-backends", cfg!(feature = "dynamic-backends")),
    ("cuda", cfg!(feature = "cuda")),
    ("metal", cfg!(feature = "metal")),
    ("vulkan", cfg!(feature = "vulkan")),
];

/// A device to compute on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Its short name, such as `CUDA0` or `CPU`.
    pub name: String,
    /// The manufacturer's name.
    pub description: String,
    /// The backend that drives it, such as `CUDA`.
    pub backend: String,
    /// The kind of device.
    pub kind: DeviceKind,
    /// Total memory in bytes; zero if the device doesn't report it.
    pub memory_total: u64,
    /// Free memory in bytes.
    pub memory_free: u64,
}

/// Kind of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceKind {
    /// A CPU.
    Cpu,
    /// A GPU with memory of its own.
    Gpu,
    /// A GPU that shares the machine's memory.
    IntegratedGpu,
    /// A library that supports the CPU.
    Accelerator,
    /// Another kind.
    Unknown,
}

/// Why a probe failed.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The process can't be started.
    #[error("the probe can't be started: {0}")]
    Start(#[from] std::io::Error),
    /// The process didn't end in time.
    #[error("the probe didn't end within {} s: a driver hangs", PROBE_TIMEOUT.as_secs())]
    Timeout,
    /// The process ended without a result.
    #[error("the probe ended with {status}{}", if message.is_empty() { String::new() } else { format!(": {message}") })]
    Ended {
        /// The exit status.
        status: String,
        /// The last line of standard error.
        message: String,
    },
}

/// Lists the devices of these libraries, in this process.
///
/// # Errors
/// If a library can't be loaded, or llama.cpp can't be initialized.
pub fn list_devices(libraries: &[PathBuf]) -> Result<Probe, String> {
    let _backend = crate::backends::llama_cpp::init(libraries)?;
    let devices = list_llama_ggml_backend_devices().into_iter().map(Device::from).collect();
    let built_for = BUILT_FOR.into_iter().filter(|(_, enabled)| *enabled);
    Ok(Probe { devices, built_for: built_for.map(|(name, _)| name.to_owned()).collect() })
}

/// Lists the devices of `libraries` in a process of `executable` with exactly the variables of `environment`, by its
/// `engine probe` command.
///
/// # Errors
/// If the process can't be started, crashes, hangs, or writes no result.
pub async fn run_probe(
    executable: &Path,
    environment: &[(OsString, OsString)],
    libraries: &[PathBuf],
) -> Result<Probe, ProbeError> {
    run_probe_within(executable, environment, libraries, PROBE_TIMEOUT).await
}

async fn run_probe_within(
    executable: &Path,
    environment: &[(OsString, OsString)],
    libraries: &[PathBuf],
    timeout: Duration,
) -> Result<Probe, ProbeError> {
    let backends = libraries.iter().flat_map(|library| [OsStr::new("--backend"), library.as_os_str()]);
    let child = Command::new(executable)
        .arg0("hearth")
        .args(["engine", "probe"])
        .args(backends)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // A driver's code finds no secrets.
        .env_clear()
        .envs(environment.iter().map(|(name, value)| (name, value)))
        // Otherwise an abort in ggml starts a debugger to print a backtrace.
        .env("GGML_NO_BACKTRACE", "1")
        .kill_on_drop(true)
        .spawn()?;
    let Ok(output) = tokio::time::timeout(timeout, child.wait_with_output()).await else {
        return Err(ProbeError::Timeout);
    };
    let output = output?;
    let stdout = String::from_utf8_lossy(&output.stdout);
    // A driver may have written other lines before.
    let probe = stdout.lines().rev().find_map(|line| serde_json::from_str(line).ok());
    probe.filter(|_| output.status.success()).ok_or_else(|| {
        let stderr = String::from_utf8_lossy(&output.stderr);
        let message = stderr.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
        ProbeError::Ended { status: output.status.to_string(), message: message.trim().to_owned() }
    })
}

/// The GPUs among `devices` that llama.cpp puts layers on: GPUs with memory of their own; without any, those of one
/// backend that share the machine's memory. A GPU of several backends is listed for the first one only.
#[must_use]
pub fn gpus(devices: &[Device]) -> Vec<&Device> {
    let mut gpus: Vec<&Device> = Vec::new();
    for gpu in devices.iter().filter(|device| device.kind == DeviceKind::Gpu) {
        let is_same = |other: &&Device| other.backend != gpu.backend && other.description == gpu.description;
        if !gpus.iter().any(is_same) {
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

/// Free memory of a device. ggml subtracts the used memory from the driver's budget in an unsigned integer, so that
/// more used memory than budget shows as a huge number.
fn free_memory(reported: usize, total: usize) -> u64 {
    if isize::try_from(reported).is_ok() { reported.min(total) as u64 } else { 0 }
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
            memory_free: free_memory(device.memory_free, device.memory_total),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    /// A program that runs `script` for `engine probe`.
    fn program(script: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("program");
        fs::write(&path, format!("#!/bin/sh\n[ \"$1 $2\" = 'engine probe' ] || exit 9\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        (folder, path)
    }

    async fn run(script: &str) -> Result<Probe, String> {
        run_with(script, &[]).await
    }

    async fn run_with(script: &str, environment: &[(OsString, OsString)]) -> Result<Probe, String> {
        let (_folder, path) = program(script);
        // Another test's fork may hold the script open for writing, for a moment.
        loop {
            match run_probe_within(&path, environment, &[], Duration::from_secs(30)).await {
                Err(ProbeError::Start(error)) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => {}
                other => return other.map_err(|error| error.to_string()),
            }
        }
    }

    #[tokio::test]
    async fn probe_returns_devices_or_the_reason_of_its_failure() {
        let line = r#"{"devices":[],"built_for":["cuda"]}"#;
        let probe = Probe { devices: vec![], built_for: vec!["cuda".to_owned()] };
        assert_eq!(run(&format!("echo a driver talks; echo '{line}'")).await, Ok(probe));
        let error = run("echo 'no CUDA-capable device' >&2; kill -ABRT $$").await.unwrap_err();
        assert!(error.contains("signal: 6") && error.contains("no CUDA-capable device"), "{error}");
        let error = run(&format!("echo '{line}'; exit 3")).await.unwrap_err();
        assert!(error.contains("exit status: 3"), "{error}");
        assert!(run("echo nothing").await.is_err());
    }

    #[tokio::test]
    async fn probe_has_the_given_environment_alone() {
        let script = r#"echo "{\"devices\":[],\"built_for\":[\"${VK_ICD:-none}\",\"${HOME:-none}\"]}""#;
        let probe = run_with(script, &[("VK_ICD".into(), "a.json".into())]).await.unwrap();
        assert_eq!(probe.built_for, ["a.json", "none"]);
    }

    fn device(name: &str, backend: &str, description: &str, kind: DeviceKind) -> Device {
        let (name, backend, description) = (name.to_owned(), backend.to_owned(), description.to_owned());
        Device { name, description, backend, kind, memory_total: 8 << 30, memory_free: 8 << 30 }
    }

    #[test]
    fn gpus_with_own_memory_are_preferred_and_none_is_listed_twice() {
        let cpu = || device("CPU", "CPU", "EPYC", DeviceKind::Cpu);
        let cuda = |n: u32| device(&format!("CUDA{n}"), "CUDA", "NVIDIA H200", DeviceKind::Gpu);
        let vulkan = |n: u32| device(&format!("Vulkan{n}"), "Vulkan", "NVIDIA H200", DeviceKind::Gpu);
        let shared = |name: &str, backend| device(name, backend, "Radeon 780M", DeviceKind::IntegratedGpu);
        for (devices, expected) in [
            (vec![], &[][..]),
            (vec![cpu()], &[]),
            (vec![cuda(0), cuda(1), cpu()], &["CUDA0", "CUDA1"]),
            (vec![cuda(0), cuda(1), vulkan(0), vulkan(1), cpu()], &["CUDA0", "CUDA1"]),
            (vec![vulkan(0), shared("Vulkan1", "Vulkan"), cpu()], &["Vulkan0"]),
            (vec![shared("ROCm0", "ROCm"), shared("Vulkan0", "Vulkan"), cpu()], &["ROCm0"]),
        ] {
            let names: Vec<&str> = gpus(&devices).iter().map(|gpu| gpu.name.as_str()).collect();
            assert_eq!(names, expected);
        }
    }

    #[test]
    fn memory_used_beyond_the_budget_counts_as_none_free() {
        assert_eq!(free_memory(3 << 30, 8 << 30), 3 << 30);
        assert_eq!(free_memory(0_usize.wrapping_sub(1 << 20), 8 << 30), 0);
        assert_eq!(free_memory(9 << 30, 8 << 30), 8 << 30);
    }

    #[tokio::test]
    async fn hanging_probe_times_out() {
        let (_folder, path) = program("exec sleep 600");
        let ended = loop {
            match run_probe_within(&path, &[], &[], Duration::from_millis(300)).await {
                Err(ProbeError::Start(error)) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => {}
                other => break other,
            }
        };
        assert!(matches!(ended, Err(ProbeError::Timeout)), "{ended:?}");
        assert!(run_probe(Path::new("/nowhere/hearth"), &[], &[]).await.is_err());
    }
}
