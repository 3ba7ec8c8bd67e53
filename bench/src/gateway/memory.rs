//! Memory and processor time of a process.

use std::{fs, time::Duration};

/// Bytes of memory.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Memory {
    /// All that is there of it.
    pub(crate) resident: u64,
    /// The same, with what is shared with other processes divided by their number.
    pub(crate) proportional: u64,
}

impl Memory {
    /// Of a process and of those that it started, as Linux tells it; elsewhere there is none.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
        let mut memory = Self { resident: field(&text, "Rss:")?, proportional: field(&text, "Pss:")? };
        for child in children(pid).into_iter().filter_map(Self::of) {
            memory.resident += child.resident;
            memory.proportional += child.proportional;
        }
        Some(memory)
    }
}

/// The processor time of a process and its threads so far, as Linux tells it.
pub(super) fn processor_time(pid: u32) -> Option<Duration> {
    // Of each thread in nanoseconds: the process' own sum is in hundredths of a second.
    let threads = fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten();
    let one = |thread: fs::DirEntry| -> Option<u64> {
        fs::read_to_string(thread.path().join("schedstat")).ok()?.split(' ').next()?.parse().ok()
    };
    Some(Duration::from_nanos(threads.filter_map(one).sum()))
}

fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kilobytes * 1024)
}

fn children(pid: u32) -> Vec<u32> {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let lists =
        threads.flatten().filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lists
        .flat_map(|list| list.split(' ').filter_map(|pid| pid.trim().parse().ok()).collect::<Vec<u32>>())
        .collect()
}
