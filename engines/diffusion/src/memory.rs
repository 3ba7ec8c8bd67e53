//! The memory of the machine.

use std::fs;

use candle_core::Device;

use crate::{error::PaintError, request::PictureRequest};

/// Refuses pictures that need more memory beside the model, `needed` bytes, than is free. The memory of a GPU isn't known.
///
/// # Errors
/// `invalid_request` for `size`.
pub(crate) fn check(request: &PictureRequest, needed: u64, device: &Device) -> Result<(), PaintError> {
    let Some(free) = available().filter(|free| device.is_cpu() && *free < needed) else { return Ok(()) };
    let message = format!(
        "a picture of {}x{} needs about {} MiB of memory beside this model, and {} MiB are free; ask for a smaller one",
        request.width,
        request.height,
        needed >> 20,
        free >> 20
    );
    Err(PaintError::refused("size", message))
}

/// Bytes that can be allocated without swapping; `None` if the system doesn't report them.
fn available() -> Option<u64> {
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
