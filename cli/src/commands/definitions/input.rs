//! Contents from files and standard input.

use std::{
    fs,
    io::{self, Read as _},
    path::Path,
};

use anyhow::{Context as _, bail, ensure};
use hearth_domain::{DefinitionKind, is_definition_name};
use serde_json::Value;

/// Largest file that is read.
const FILE_MAX_BYTES: u64 = 4 << 20;

/// Reads a JSON file; `-` is standard input. A file of `show --json` is read too: its content is taken.
///
/// # Errors
/// If it can't be read, or isn't JSON.
pub(super) fn read_content(path: &Path, kind: DefinitionKind) -> anyhow::Result<Value> {
    let value = read_json(path)?;
    let is_body =
        value.get("object").and_then(Value::as_str) == Some(kind.as_str()) && value.get("version").is_some();
    match value {
        Value::Object(mut body) if is_body => {
            body.remove(kind.as_str()).with_context(|| format!("{} has no {}", shown(path), kind.as_str()))
        }
        value => Ok(value),
    }
}

/// Reads a JSON file; `-` is standard input.
///
/// # Errors
/// If it can't be read, or isn't JSON.
pub(super) fn read_json(path: &Path) -> anyhow::Result<Value> {
    let mut text = String::new();
    let read = if path.as_os_str() == "-" {
        io::stdin().lock().take(FILE_MAX_BYTES + 1).read_to_string(&mut text)
    } else {
        fs::File::open(path).and_then(|file| file.take(FILE_MAX_BYTES + 1).read_to_string(&mut text))
    };
    let count = read.with_context(|| format!("{} can't be read", shown(path)))?;
    ensure!(count as u64 <= FILE_MAX_BYTES, "{} has more than {} MiB", shown(path), FILE_MAX_BYTES >> 20);
    serde_json::from_str(&text).with_context(|| format!("{} isn't JSON", shown(path)))
}

/// The name of a definition: the given one, or that of its file without `.json`.
///
/// # Errors
/// For standard input, and for a file whose name is no name of a definition.
pub(super) fn name_of(given: Option<String>, path: &Path) -> anyhow::Result<String> {
    if let Some(name) = given {
        return Ok(name);
    }
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().to_lowercase()).unwrap_or_default();
    let stem = stem.trim_end_matches(".schema").trim_end_matches(".template").to_owned();
    if path.as_os_str() != "-" && is_definition_name(&stem) {
        return Ok(stem);
    }
    bail!("{} gives no name: add --name NAME", shown(path))
}

fn shown(path: &Path) -> String {
    if path.as_os_str() == "-" { "standard input".to_owned() } else { path.display().to_string() }
}
