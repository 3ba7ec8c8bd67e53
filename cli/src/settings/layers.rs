//! The layers that settings are read from: a file, then variables.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use config::{Config, ConfigError, Environment, File, FileFormat};

use super::{
    Settings, Source,
    errors::{self, Place},
    file,
};

/// The prefix of every variable that is a setting.
pub(super) const PREFIX: &str = "HEARTH_";

/// The file and the variables, as they were found.
pub(super) struct Layers {
    file: Option<(PathBuf, String)>,
    variables: Vec<(String, String)>,
}

impl Layers {
    /// Finds them.
    ///
    /// # Errors
    /// The file that was named is not there or unreadable, or a variable is not text.
    pub(super) fn find(source: &Source) -> Result<Self> {
        let file = match file::find(source.config.as_deref())? {
            Some(path) => {
                let text = fs::read_to_string(&path)
                    .with_context(|| format!("the settings file {} can't be read", path.display()))?;
                Some((path, text))
            }
            None => None,
        };
        Ok(Self { file, variables: variables()? })
    }

    /// Reads the settings.
    pub(super) fn read(&self) -> Result<Settings> {
        let text = self.file.as_ref().map(|(_, text)| text.as_str());
        match build(text, &self.variables) {
            Ok(settings) => Ok(settings),
            Err(error) => Err(self.explain(&error)),
        }
    }

    /// Finds the layer that is at fault: the file if it fails alone, else a variable that fails with the file.
    fn explain(&self, error: &ConfigError) -> anyhow::Error {
        if let Some((path, text)) = &self.file
            && let Err(error) = build(Some(text), &[])
        {
            return errors::in_file(path, text, &error);
        }
        let text = self.file.as_ref().map(|(_, text)| text.as_str());
        for variable in &self.variables {
            if let Err(error) = build(text, std::slice::from_ref(variable))
                // Another variable may have what this one lacks.
                && !error.to_string().contains("missing ")
            {
                return errors::in_variable(&variable.0, &error);
            }
        }
        anyhow::anyhow!("the settings can't be read: {error}")
    }

    /// Adds to an error about a setting's value the place where the value stands. The setting's name is the
    /// error's first word.
    pub(super) fn locate(&self, error: anyhow::Error) -> anyhow::Error {
        let message = format!("{error:#}");
        let Some(name) = errors::first_name(&message) else { return error };
        match self.place(&name) {
            Some(place) => anyhow::anyhow!("{place}: {message}"),
            None => error,
        }
    }

    /// The place of a setting's value, by the segments of its name.
    fn place(&self, name: &[String]) -> Option<Place> {
        let wanted = format!("{PREFIX}{}", name.join("__"));
        let variable = self.variables.iter().find(|(name, _)| name.eq_ignore_ascii_case(&wanted));
        if let Some((name, _)) = variable {
            return Some(Place::Variable(name.clone()));
        }
        let (path, text) = self.file.as_ref()?;
        Some(Place::File { path: path.clone(), line: errors::line_of(text, name)? })
    }
}

/// Settings of these layers. Values of variables are parsed as numbers and booleans where they look so.
fn build(file: Option<&str>, variables: &[(String, String)]) -> Result<Settings, ConfigError> {
    let mut builder = Config::builder();
    if let Some(text) = file {
        builder = builder.add_source(File::from_str(text, FileFormat::Toml));
    }
    let variables: HashMap<String, String> = variables.iter().cloned().collect();
    let environment = Environment::with_prefix("HEARTH")
        .prefix_separator("_")
        .separator("__")
        .try_parsing(true)
        .ignore_empty(true)
        .source(Some(variables));
    builder.add_source(environment).build()?.try_deserialize()
}

/// Every variable that is meant as a setting. Empty ones count as absent.
fn variables() -> Result<Vec<(String, String)>> {
    #[expect(clippy::disallowed_methods, reason = "this is a config module")]
    let all = std::env::vars_os();
    let mut found = Vec::new();
    for (name, value) in all {
        let Ok(name) = name.into_string() else { continue };
        let is_ours = name.get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX));
        if is_ours && !value.is_empty() {
            let value = value.into_string().ok().with_context(|| format!("{name} is not valid UTF-8"))?;
            found.push((name, value));
        }
    }
    found.sort();
    Ok(found)
}

/// A variable of Hugging Face's own tools, which stands in where no setting is given. Empty counts as absent.
pub(super) fn hub_variable(name: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "this is a config module")]
    std::env::var(name).ok().filter(|value| !value.trim().is_empty()).map(|value| value.trim().to_owned())
}

/// The path as it was given, with the folder that a relative one is in.
pub(super) fn displayed(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}
