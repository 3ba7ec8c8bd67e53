//! The machine that is measured on.

use std::{fs, path::Path};

use serde_json::{Value, json};

/// The machine's properties that a reader of the figures needs.
pub(crate) fn about(rounds: usize) -> Value {
    json!({
        "rounds": rounds, "processors": processors(), "processor": processor(), "load_before": load(),
    })
}

/// The same in a line.
pub(crate) fn heading(about: &Value) -> String {
    format!(
        "{} processors ({}), {} rounds, load before {}",
        about["processors"],
        about["processor"].as_str().unwrap_or("unknown"),
        about["rounds"],
        about["load_before"],
    )
}

pub(crate) fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The processor's name, where Linux tells it.
pub(crate) fn processor() -> Option<String> {
    let text = fs::read_to_string(Path::new("/proc/cpuinfo")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("model name"))?;
    Some(line.trim_start_matches([' ', '\t', ':']).to_owned())
}

/// Load average of the last minute. Figures of a busy machine are worth little.
pub(crate) fn load() -> Option<f64> {
    fs::read_to_string("/proc/loadavg").ok()?.split(' ').next()?.parse().ok()
}
