//! The progress of a download: a bar at a terminal, and lines elsewhere.

use std::io::IsTerminal;

use bytesize::ByteSize;
use indicatif::{ProgressBar, ProgressStyle};

use crate::client::terminal;

const TEMPLATE: &str = "{msg} {wide_bar} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {eta}";
const TEMPLATE_WITHOUT_SIZE: &str = "{msg} {spinner} {binary_bytes} {binary_bytes_per_sec}";

/// Shows the progress of a download on standard error. The bar is cleared when it is dropped.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    size: Option<u64>,
    /// The last tenth for which a line was printed.
    tenth: u64,
}

impl Progress {
    /// Starts at `len` of `size` bytes.
    pub(super) fn new(name: &str, size: Option<u64>, len: u64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| bar(name, size, len));
        if bar.is_none() {
            let size = size.map_or_else(|| "an unknown size".to_owned(), |size| ByteSize(size).to_string());
            terminal::note(&format!("downloading {name}: {} of {size}", ByteSize(len)));
        }
        Self { bar, size, tenth: size.map_or(0, |size| tenth(len, size)) }
    }

    /// Updates the progress to `len` bytes.
    pub(super) fn update(&mut self, len: u64) {
        if let Some(bar) = &self.bar {
            return bar.set_position(len);
        }
        let Some(size) = self.size else { return };
        let tenth = tenth(len, size);
        if tenth > self.tenth {
            self.tenth = tenth;
            terminal::note(&format!("{} %: {} of {}", tenth * 10, ByteSize(len), ByteSize(size)));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn bar(name: &str, size: Option<u64>, len: u64) -> ProgressBar {
    let bar = size.map_or_else(ProgressBar::no_length, ProgressBar::new);
    let bar = bar.with_message(name.to_owned()).with_position(len);
    let template = if size.is_some() { TEMPLATE } else { TEMPLATE_WITHOUT_SIZE };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    // The speed is that of this download, without the bytes of an earlier one.
    bar.reset_eta();
    bar
}

fn tenth(len: u64, size: u64) -> u64 {
    // An empty file is complete from the start.
    len.saturating_mul(10).checked_div(size).unwrap_or(10)
}
