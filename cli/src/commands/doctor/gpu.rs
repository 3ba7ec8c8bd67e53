//! Checks of the machine's GPUs, and of the build's support for them.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use bytesize::ByteSize;
use hearth_node::engines::probe::{Device, DeviceKind, Probe};

use super::finding::Finding;

/// Maker of a GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Maker {
    Nvidia,
    Amd,
    Intel,
    Apple,
    Unknown,
}

impl Maker {
    fn name(self) -> &'static str {
        match self {
            Self::Nvidia => "NVIDIA",
            Self::Amd => "AMD",
            Self::Intel => "Intel",
            Self::Apple => "Apple",
            Self::Unknown => "unknown",
        }
    }

    /// The feature of the build that computes on it.
    fn feature(self) -> &'static str {
        match self {
            Self::Nvidia => "cuda",
            Self::Apple => "metal",
            Self::Amd | Self::Intel | Self::Unknown => "vulkan",
        }
    }
}

/// Finds the GPUs of the system below `root` (`/` except in tests). The screen of a virtual machine isn't one.
pub(super) fn present(root: &Path) -> BTreeSet<Maker> {
    let mut makers = BTreeSet::new();
    if cfg!(target_os = "macos") {
        makers.insert(Maker::Apple);
    }
    if ["dev/nvidiactl", "dev/nvidia0", "proc/driver/nvidia"].iter().any(|path| root.join(path).exists()) {
        makers.insert(Maker::Nvidia);
    }
    if root.join("dev/kfd").exists() {
        makers.insert(Maker::Amd);
    }
    makers.extend(render_nodes(root).iter().map(|node| maker_of(root, node)));
    // A known maker is a better answer.
    if makers.len() > 1 {
        makers.remove(&Maker::Unknown);
    }
    makers
}

/// Lists the devices that render, such as `renderD128`, without those that only display.
fn render_nodes(root: &Path) -> Vec<String> {
    let entries = fs::read_dir(root.join("dev/dri")).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with("renderD")).collect()
}

fn maker_of(root: &Path, node: &str) -> Maker {
    let vendor: PathBuf = root.join("sys/class/drm").join(node).join("device/vendor");
    match fs::read_to_string(vendor).unwrap_or_default().trim() {
        "0x10de" => Maker::Nvidia,
        "0x1002" => Maker::Amd,
        "0x8086" => Maker::Intel,
        _ => Maker::Unknown,
    }
}

/// Features that compute on a GPU, each with advice where it finds none.
const GPUS: [(&str, &str); 3] = [
    (
        "cuda",
        "check `nvidia-smi`, and that libcudart and libcublas of the build's CUDA are installed; start a container \
         with `--gpus all`",
    ),
    ("metal", "`hearth engine probe` shows its messages"),
    (
        "vulkan",
        "check `vulkaninfo --summary`, and that libvulkan.so.1 is installed; start a container with \
         `--device /dev/dri`",
    ),
];

/// The devices of a probe that are GPUs.
fn devices(probe: &Probe) -> impl Iterator<Item = &Device> {
    let gpu = |device: &&Device| matches!(device.kind, DeviceKind::Gpu | DeviceKind::IntegratedGpu);
    probe.devices.iter().filter(gpu)
}

/// Compares the GPUs of the machine with the devices of the build.
pub(super) fn findings(present: &BTreeSet<Maker>, probe: &Probe) -> Vec<Finding> {
    let used: Vec<Finding> = devices(probe).map(|device| Finding::ok("gpu", describe(device))).collect();
    if !used.is_empty() {
        return used;
    }
    let built = GPUS.iter().find(|(feature, _)| probe.built_for.iter().any(|built| built == feature));
    let names: Vec<&str> = present.iter().map(|maker| maker.name()).collect();
    let gpus = format!("the machine has a GPU ({})", names.join(", "));
    match (present.first(), built) {
        (None, None) => vec![Finding::ok("gpu", "there is none; models are computed on the processor")],
        (Some(first), None) => vec![Finding::warning(
            "gpu",
            format!("{gpus}, and this build computes on the processor alone"),
            format!("build with `cargo xtask up --features {}`, with its toolkit installed", first.feature()),
        )],
        (Some(_), Some((feature, advice))) => {
            vec![Finding::warning(
                "gpu",
                format!("{gpus}, and llama.cpp can't reach it with {feature}"),
                *advice,
            )]
        }
        (None, Some((feature, advice))) => {
            let message = format!("{feature} finds none; models are computed on the processor");
            vec![Finding::warning("gpu", message, *advice)]
        }
    }
}

fn describe(device: &Device) -> String {
    let Device { name, description, memory_total, memory_free, .. } = device;
    let memory = match memory_total {
        0 => String::new(),
        total => format!(", {} of {} free", ByteSize(*memory_free), ByteSize(*total)),
    };
    format!("{name}: {description}{memory}")
}

#[cfg(test)]
mod tests {
    use super::{super::finding::Level, *};

    fn system(files: &[(&str, &str)]) -> (tempfile::TempDir, BTreeSet<Maker>) {
        let root = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        let makers = present(root.path());
        (root, makers)
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn gpus_are_found_by_their_devices() {
        let vendor = "sys/class/drm/renderD128/device/vendor";
        for (files, makers) in [
            (&[][..], &[][..]),
            (&[("dev/dri/card0", "")], &[]),
            (&[("dev/nvidia0", "")], &[Maker::Nvidia]),
            (&[("dev/nvidiactl", ""), ("dev/dri/renderD128", "")], &[Maker::Nvidia]),
            (&[("dev/kfd", ""), ("dev/dri/renderD128", ""), (vendor, "0x1002\n")], &[Maker::Amd]),
            (&[("dev/dri/renderD128", ""), (vendor, "0x8086\n")], &[Maker::Intel]),
            (&[("dev/dri/renderD128", "")], &[Maker::Unknown]),
        ] {
            let (_root, present) = system(files);
            assert_eq!(present, makers.iter().copied().collect(), "{files:?}");
        }
    }

    fn probe(built_for: &[&str], devices: &[DeviceKind]) -> Probe {
        let device = |kind: &DeviceKind| Device {
            name: "CUDA0".to_owned(),
            description: "NVIDIA H200".to_owned(),
            backend: "CUDA".to_owned(),
            kind: *kind,
            memory_total: 140 << 30,
            memory_free: 139 << 30,
        };
        Probe {
            devices: devices.iter().map(device).collect(),
            built_for: built_for.iter().map(|&feature| feature.to_owned()).collect(),
        }
    }

    #[test]
    fn unused_gpu_is_a_warning_with_advice() {
        let (cpu, gpu) = (DeviceKind::Cpu, DeviceKind::Gpu);
        for (makers, probe, level, words) in [
            (&[][..], probe(&[], &[cpu]), Level::Ok, "there is none"),
            (&[], probe(&["cuda"], &[cpu]), Level::Warning, "cuda finds none; models are computed on"),
            (&[], probe(&["vulkan"], &[cpu]), Level::Warning, "libvulkan.so.1"),
            (
                &[Maker::Nvidia],
                probe(&["cuda"], &[gpu, cpu]),
                Level::Ok,
                "CUDA0: NVIDIA H200, 139.0 GiB of 140.0 GiB",
            ),
            (&[Maker::Nvidia], probe(&[], &[cpu]), Level::Warning, "--features cuda"),
            (&[Maker::Amd], probe(&["dynamic-backends"], &[cpu]), Level::Warning, "--features vulkan"),
            (&[Maker::Apple], probe(&[], &[cpu]), Level::Warning, "--features metal"),
            (&[Maker::Nvidia], probe(&["cuda"], &[cpu]), Level::Warning, "nvidia-smi"),
            (&[Maker::Intel], probe(&["vulkan"], &[cpu]), Level::Warning, "vulkaninfo"),
        ] {
            let findings = findings(&makers.iter().copied().collect(), &probe);
            assert_eq!(findings.len(), 1);
            assert_eq!(findings[0].level, level, "{}", findings[0]);
            assert!(findings[0].to_string().contains(words), "{}", findings[0]);
        }
    }
}
