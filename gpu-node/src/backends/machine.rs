//! The machine that a self-test's result holds for: processor, microcode, GPUs and their drivers.

use std::{fs, path::Path};

/// What `/proc/cpuinfo` says of a processor that does not change while it runs (not its clock).
const PROCESSOR_FIELDS: [&str; 14] = [
    "vendor_id",
    "cpu family",
    "model",
    "model name",
    "stepping",
    "microcode",
    // A hypervisor may hide some.
    "flags",
    "Features",
    "CPU implementer",
    "CPU architecture",
    "CPU variant",
    "CPU part",
    "CPU revision",
    "Model",
];

/// Files whose content changes with a GPU's driver.
const DRIVER_FILES: [&str; 3] =
    ["proc/driver/nvidia/version", "sys/module/amdgpu/version", "proc/sys/kernel/osrelease"];

/// A machine, as far as it matters to backends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Machine {
    /// The processor's name, for people.
    pub(super) processor: String,
    /// Everything that a result depends on, one fact a line.
    pub(super) facts: Vec<String>,
}

impl Machine {
    /// This machine. `with_gpus`: the build has backends for GPUs, so drivers matter.
    pub(super) fn this(with_gpus: bool) -> Self {
        Self::below(Path::new("/"), with_gpus)
    }

    fn below(root: &Path, with_gpus: bool) -> Self {
        let cpuinfo = fs::read_to_string(root.join("proc/cpuinfo")).unwrap_or_default();
        // The first processor's part; the others are of the same kind.
        let first = cpuinfo.split("\n\n").next().unwrap_or_default();
        let fields = first.lines().filter_map(|line| line.split_once(':'));
        let fields = fields.map(|(name, value)| (name.trim(), value.trim()));
        let mut facts: Vec<String> = fields
            .clone()
            .filter(|(name, _)| PROCESSOR_FIELDS.contains(name))
            .map(|(name, value)| format!("{name}: {value}"))
            .collect();
        let named = fields.into_iter().find(|(name, _)| *name == "model name" || *name == "CPU part");
        let processor = named.map_or_else(brand, |(_, value)| value.to_owned());
        if facts.is_empty() {
            facts.push(format!("brand: {processor}"));
        }
        if with_gpus {
            let read = |file: &&str| fs::read_to_string(root.join(file)).ok();
            facts.extend(DRIVER_FILES.iter().filter_map(read));
            let devices = fs::read_dir(root.join("dev/dri")).into_iter().flatten().flatten();
            let devices = devices.chain(fs::read_dir(root.join("dev")).into_iter().flatten().flatten());
            let names = devices.map(|entry| entry.file_name().to_string_lossy().into_owned());
            let mut gpus: Vec<String> =
                names.filter(|name| name.starts_with("renderD") || name.starts_with("nvidia")).collect();
            gpus.sort();
            facts.extend(gpus);
        }
        Self { processor, facts }
    }
}

/// The processor's name where there is no `/proc`.
fn brand() -> String {
    use sysinfo::{CpuRefreshKind, RefreshKind, System};

    let system = System::new_with_specifics(RefreshKind::nothing().with_cpu(CpuRefreshKind::nothing()));
    let system = system.ok();
    system.and_then(|system| Some(system.cpus().first()?.brand().to_owned())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CPUINFO: &str = "processor\t: 0\nmodel name\t: AMD EPYC\nmicrocode\t: 0x1\nflags\t\t: avx avx2\n\
                           cpu MHz\t\t: 2445.4\n\nprocessor\t: 1\nmodel name\t: AMD EPYC\n";

    fn machine(cpuinfo: &str, driver: &str, with_gpus: bool) -> Machine {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("proc/driver/nvidia")).unwrap();
        fs::create_dir_all(root.path().join("dev/dri")).unwrap();
        fs::write(root.path().join("proc/cpuinfo"), cpuinfo).unwrap();
        fs::write(root.path().join("proc/driver/nvidia/version"), driver).unwrap();
        fs::write(root.path().join("dev/dri/renderD128"), "").unwrap();
        Machine::below(root.path(), with_gpus)
    }

    #[test]
    fn clock_changes_nothing_and_microcode_does() {
        let before = machine(CPUINFO, "550", false);
        assert_eq!(before.processor, "AMD EPYC");
        assert_eq!(before, machine(&CPUINFO.replace("2445.4", "1500.0"), "560", false));
        for (old, new) in [("0x1", "0x2"), ("avx avx2", "avx"), ("AMD EPYC", "AMD Ryzen")] {
            assert_ne!(before, machine(&CPUINFO.replace(old, new), "550", false), "{new}");
        }
    }

    #[test]
    fn a_driver_matters_to_a_build_for_gpus() {
        let before = machine(CPUINFO, "550", true);
        assert!(before.facts.iter().any(|fact| fact == "renderD128"), "{before:?}");
        assert_ne!(before, machine(CPUINFO, "560", true));
    }
}
