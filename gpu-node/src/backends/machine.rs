//! The machine that a self-test's result is valid for: processor, microcode, GPUs and their drivers.

use std::{fs, path::Path};

use super::drivers;

/// Constant properties of a processor in `/proc/cpuinfo` (so not its clock).
const PROCESSOR_FIELDS: [&str; 14] = [
    "vendor_id",
    "cpu family",
    "model",
    "model name",
    "stepping",
    "microcode",
    // A hypervisor may hide some of them.
    "flags",
    "Features",
    "CPU implementer",
    "CPU architecture",
    "CPU variant",
    "CPU part",
    "CPU revision",
    "Model",
];

/// The properties of a machine that affect backends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Machine {
    /// The processor's name, for people.
    pub(super) processor: String,
    /// The properties that a result depends on.
    pub(super) properties: Vec<String>,
}

impl Machine {
    /// Reads the properties of this machine; with `with_gpus`, also those of GPUs and their drivers.
    pub(super) fn current(with_gpus: bool) -> Self {
        Self::read(Path::new("/"), with_gpus)
    }

    fn read(root: &Path, with_gpus: bool) -> Self {
        let cpuinfo = fs::read_to_string(root.join("proc/cpuinfo")).unwrap_or_default();
        // The first processor's section; the others are of the same kind.
        let first = cpuinfo.split("\n\n").next().unwrap_or_default();
        let fields = first.lines().filter_map(|line| line.split_once(':'));
        let fields = fields.map(|(name, value)| (name.trim(), value.trim()));
        let mut properties: Vec<String> = fields
            .clone()
            .filter(|(name, _)| PROCESSOR_FIELDS.contains(name))
            .map(|(name, value)| format!("{name}: {value}"))
            .collect();
        let named = fields.into_iter().find(|(name, _)| *name == "model name" || *name == "CPU part");
        let processor = named.map_or_else(brand, |(_, value)| value.to_owned());
        if properties.is_empty() {
            properties.push(format!("brand: {processor}"));
        }
        if with_gpus {
            properties.extend(drivers::properties(root));
        }
        Self { processor, properties }
    }
}

/// The processor's name on systems without `/proc`.
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
        Machine::read(root.path(), with_gpus)
    }

    #[test]
    fn microcode_is_a_property_and_the_clock_is_not() {
        let before = machine(CPUINFO, "550", false);
        assert_eq!(before.processor, "AMD EPYC");
        assert_eq!(before, machine(&CPUINFO.replace("2445.4", "1500.0"), "560", false));
        for (old, new) in [("0x1", "0x2"), ("avx avx2", "avx"), ("AMD EPYC", "AMD Ryzen")] {
            assert_ne!(before, machine(&CPUINFO.replace(old, new), "550", false), "{new}");
        }
    }

    #[test]
    fn driver_is_a_property_in_a_build_for_gpus() {
        let before = machine(CPUINFO, "550", true);
        assert!(before.properties.iter().any(|property| property == "renderD128"), "{before:?}");
        assert_ne!(before, machine(CPUINFO, "560", true));
    }
}
