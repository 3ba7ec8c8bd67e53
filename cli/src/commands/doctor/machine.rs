//! Checks of processor, threads and memory.

use bytesize::ByteSize;
use hearth_node::{engines::probe::Probe, memory::Memory};

use super::finding::Finding;

/// Features that a build without `dynamic-backends` needs; without one of them the processor stops it in the middle.
const NEEDED: [&str; 4] = ["avx2", "fma", "f16c", "bmi2"];
/// Memory in bytes that the system and the gateway alone use.
const MEMORY_MIN_BYTES: u64 = 1 << 30;

/// A feature, and whether the processor has it.
type Feature = (&'static str, bool);

#[cfg(target_arch = "x86_64")]
pub(super) fn features() -> Vec<Feature> {
    vec![
        ("avx2", std::arch::is_x86_feature_detected!("avx2")),
        ("fma", std::arch::is_x86_feature_detected!("fma")),
        ("f16c", std::arch::is_x86_feature_detected!("f16c")),
        ("bmi2", std::arch::is_x86_feature_detected!("bmi2")),
        ("avx512f", std::arch::is_x86_feature_detected!("avx512f")),
        ("avx512vnni", std::arch::is_x86_feature_detected!("avx512vnni")),
    ]
}

#[cfg(target_arch = "aarch64")]
pub(super) fn features() -> Vec<Feature> {
    vec![
        ("neon", std::arch::is_aarch64_feature_detected!("neon")),
        ("dotprod", std::arch::is_aarch64_feature_detected!("dotprod")),
        ("i8mm", std::arch::is_aarch64_feature_detected!("i8mm")),
    ]
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(super) fn features() -> Vec<Feature> {
    Vec::new()
}

/// Checks whether a worker can open only the files that it needs.
pub(super) fn sandbox(is_wanted: bool, is_supported: bool) -> Finding {
    match (is_wanted, is_supported) {
        (true, true) => {
            Finding::ok("sandbox", "a model's process may open only the files that it needs (Landlock)")
        }
        (false, _) => Finding::ok(
            "sandbox",
            "turned off (node.worker_sandbox): a model's process has this user's files",
        ),
        (true, false) => Finding::warning(
            "sandbox",
            "this system has no Landlock: a model's process has this user's files",
            "use model files from sources that you trust, or a Linux kernel with Landlock (5.13 or later)",
        ),
    }
}

/// Checks the processor. `every_generation`: the build has a variant for each generation of processors.
pub(super) fn processor(features: &[Feature], every_generation: bool) -> Finding {
    let names = |is_present: bool| -> Vec<&str> {
        features.iter().filter(|(_, has)| *has == is_present).map(|(name, _)| *name).collect()
    };
    let (has, lacks) = (names(true), names(false));
    let list = |names: &[&str]| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    let message = format!("{}; has {}; lacks {}", std::env::consts::ARCH, list(&has), list(&lacks));
    let missing: Vec<&str> = NEEDED.into_iter().filter(|name| lacks.contains(name)).collect();
    if missing.is_empty() || every_generation {
        return Finding::ok("processor", message);
    }
    let advice = format!(
        "this build needs {}; build with the feature dynamic-backends, for processors of every generation",
        missing.join(", ")
    );
    Finding::problem("processor", message, advice)
}

/// Checks the threads for each loaded model against the processors.
pub(super) fn threads(threads: u32, processors: usize) -> Finding {
    let message = format!("{threads} for each loaded model, of {processors} processors");
    if usize::try_from(threads).is_ok_and(|threads| threads > processors) {
        return Finding::warning(
            "threads",
            message,
            "more threads than processors wait for each other: lower node.threads, or leave it out",
        );
    }
    Finding::ok("threads", message)
}

pub(super) fn memory(memory: Option<Memory>) -> Finding {
    let Some(memory) = memory else {
        return Finding::warning("memory", "the system doesn't report its memory", "set node.memory");
    };
    let of = if memory.limited { "of this container" } else { "of this machine" };
    let (total, available) = (ByteSize(memory.total), ByteSize(memory.available));
    let message = format!("{total} {of}, {available} of it available");
    if memory.total < MEMORY_MIN_BYTES {
        let advice = match memory.limited {
            true => "raise the container's memory limit: the system kills a process above it",
            false => "only the smallest models fit",
        };
        return Finding::warning("memory", message, advice);
    }
    Finding::ok("memory", message)
}

/// Checks the devices that llama.cpp found.
pub(super) fn engine(probe: &Result<Probe, String>) -> Finding {
    match probe {
        Ok(probe) => {
            let backends = probe.devices.iter().map(|device| format!("{} ({})", device.name, device.backend));
            let backends: Vec<String> = backends.collect();
            if backends.is_empty() {
                return Finding::problem(
                    "engine",
                    "llama.cpp finds nothing to compute on",
                    "put its backends (libggml-*.so) beside the binary, as they are in target/release",
                );
            }
            Finding::ok("engine", format!("llama.cpp computes on {}", backends.join(", ")))
        }
        Err(why) => Finding::problem(
            "engine",
            format!("llama.cpp can't be started: {why}"),
            "`hearth engine probe` shows its messages; a GPU's driver may be missing or too old",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::finding::Level, *};

    #[test]
    fn processor_without_a_needed_feature_is_a_problem() {
        let all = [("avx2", true), ("fma", true), ("f16c", true), ("bmi2", true), ("avx512f", false)];
        assert_eq!(processor(&all, false).level, Level::Ok);
        let mut old = all;
        old[0].1 = false;
        let finding = processor(&old, false);
        assert_eq!(finding.level, Level::Problem);
        assert!(finding.advice.unwrap().contains("needs avx2;"));
        assert_eq!(processor(&old, true).level, Level::Ok);
        assert_eq!(processor(&[("neon", true)], false).level, Level::Ok);
        assert!(!features().is_empty() || cfg!(not(any(target_arch = "x86_64", target_arch = "aarch64"))));
    }

    #[test]
    fn scarce_threads_and_memory_are_warnings() {
        let memory_of = |total, limited| memory(Some(Memory { total, available: total / 2, limited }));
        for (finding, level, word) in [
            (threads(3, 4), Level::Ok, "3 for each"),
            (threads(8, 4), Level::Warning, "of 4 processors"),
            (memory_of(8 << 30, false), Level::Ok, "8.0 GiB of this machine, 4.0 GiB"),
            (memory_of(8 << 30, true), Level::Ok, "of this container"),
            (memory_of(512 << 20, true), Level::Warning, "512.0 MiB of this container"),
            (memory(None), Level::Warning, "doesn't report"),
        ] {
            assert_eq!(finding.level, level, "{finding}");
            assert!(finding.message.contains(word), "{finding}");
        }
    }
}
