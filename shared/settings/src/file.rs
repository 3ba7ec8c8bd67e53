//! The settings file: its place, and settings written as one.

use std::path::{Path, PathBuf};

use crate::{Settings, SettingsError};

/// Finds the file to read: the one named, which must exist, or else the first that exists of `hearth.toml` and
/// `hearth/hearth.toml` in the user's configuration folder.
pub(crate) fn find(named: Option<&Path>) -> Result<Option<PathBuf>, SettingsError> {
    if let Some(path) = named {
        if !path.is_file() {
            return Err(SettingsError::new(format!("the settings file {} doesn't exist", path.display())));
        }
        return Ok(Some(path.to_owned()));
    }
    let user = dirs::config_dir().map(|folder| folder.join("hearth").join("hearth.toml"));
    Ok([Some(PathBuf::from("hearth.toml")), user].into_iter().flatten().find(|path| path.is_file()))
}

impl Settings {
    /// Writes the settings as TOML, without secrets.
    ///
    /// # Errors
    /// A setting that TOML cannot express, such as a path that is not UTF-8.
    pub fn to_toml(&self) -> Result<String, SettingsError> {
        toml::to_string(self)
            .map_err(|error| SettingsError::new(format!("the settings can't be written: {error}")))
    }
}
