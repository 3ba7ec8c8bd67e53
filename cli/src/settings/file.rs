//! The settings file: where it is, and how settings are written as one.

use std::path::{Path, PathBuf};

use anyhow::Result;
use serde_json::Value;

/// The file to read: the one named, which must be there, else the first that is.
pub(super) fn find(named: Option<&Path>) -> Result<Option<PathBuf>> {
    if let Some(path) = named {
        anyhow::ensure!(path.is_file(), "the settings file {} isn't there", path.display());
        return Ok(Some(path.to_owned()));
    }
    let user = dirs::config_dir().map(|folder| folder.join("hearth").join("hearth.toml"));
    Ok([Some(PathBuf::from("hearth.toml")), user].into_iter().flatten().find(|path| path.is_file()))
}

/// TOML has no null.
pub(super) fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            map.into_iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (k, without_nulls(v))).collect()
        }
        other => other,
    }
}
