//! The memory of the machine.

use std::fs;

/// Bytes that can be allocated without swapping; `None` if the system doesn't report them.
pub(crate) fn available() -> Option<u64> {
    of_text(&fs::read_to_string("/proc/meminfo").ok()?)
}

fn of_text(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn available_memory_is_read_from_the_systems_file() {
        assert_eq!(of_text("MemTotal:       24000 kB\nMemAvailable:   12 kB\n"), Some(12 << 10));
        assert_eq!(of_text("MemTotal: 1 kB"), None);
    }
}
