//! GPUs: which the machine has, and whether this build computes on them.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use bytesize::ByteSize;
use hearth_node::engines::probe::{Device, DeviceKind, Probe};

use super::finding::Finding;

/// Whose GPU it is.
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

/// The GPUs that the system shows below `root` (`/` but for tests). A virtual machine's screen isn't one.
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
    // One that is named is a better answer.
    if makers.len() > 1 {
        makers.remove(&Maker::Unknown);
    }
    makers
}

/// `renderD128` and so on: devices that render, as against those that only show.
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

/// The features that compute on a GPU, and what to look at where one finds none.
const GPUS: [(&str, &str); 3] = [
    (
        "cuda",
        "see what `nvidia-smi` says, and whether libcudart and libcublas of the build's CUDA are there; a \
         container is started with `--gpus all`",
    ),
    ("metal", "`hearth engine probe` shows all that it says"),
    (
        "vulkan",
        "see what `vulkaninfo --summary` says, and whether libvulkan.so.1 is there; a container is started \
         with `--device /dev/dri`",
    ),
];

/// The devices of a probe that are GPUs.
fn devices(probe: &Probe) -> impl Iterator<Item = &Device> {
    let gpu = |device: &&Device| matches!(device.kind, DeviceKind::Gpu | DeviceKind::IntegratedGpu);
    probe.devices.iter().filter(gpu)
}

/// What there is to say of GPUs.
pub(super) fn findings(present: &BTreeSet<Maker>, probe: &Probe) -> Vec<Finding> {
    let used: Vec<Finding> = devices(probe).map(|device| Finding::ok("gpu", told(device))).collect();
    if !used.is_empty() {
        return used;
    }
    let built = GPUS.iter().find(|(feature, _)| probe.built_for.iter().any(|built| built == feature));
    let names: Vec<&str> = present.iter().map(|maker| maker.name()).collect();
    let there = format!("the machine has a GPU ({})", names.join(", "));
    match (present.first(), built) {
        (None, None) => vec![Finding::ok("gpu", "there is none; models are computed on the processor")],
        (Some(first), None) => vec![Finding::warning(
            "gpu",
            format!("{there}, and this build computes on the processor alone"),
            format!("build with `cargo xtask up --features {}`, with its toolkit installed", first.feature()),
        )],
        (Some(_), Some((feature, advice))) => {
            vec![Finding::warning(
                "gpu",
                format!("{there}, and llama.cpp can't reach it with {feature}"),
                *advice,
            )]
        }
        (None, Some((feature, advice))) => {
            let told = format!("{feature} finds none; models are computed on the processor");
            vec![Finding::warning("gpu", told, *advice)]
        }
    }
}

fn told(device: &Device) -> String {
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
        let found = present(root.path());
        (root, found)
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn gpus_are_seen_by_their_devices() {
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
            let (_root, found) = system(files);
            assert_eq!(found, makers.iter().copied().collect(), "{files:?}");
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
    fn an_unused_gpu_comes_with_what_to_do() {
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
            let found = findings(&makers.iter().copied().collect(), &probe);
            assert_eq!(found.len(), 1);
            assert_eq!(found[0].level, level, "{}", found[0]);
            assert!(found[0].to_string().contains(words), "{}", found[0]);
        }
    }
}
