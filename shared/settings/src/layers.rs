//! The layers that settings are read from: defaults, a file, then variables.

#[cfg(feature = "file")]
use std::path::Path;
use std::{collections::HashMap, path::PathBuf};

use config::{Config, ConfigError, Environment};

use crate::{
    InvalidSetting, Settings, SettingsError,
    errors::{self, Place},
    json_variables::{self, JsonVariable},
    variable::{self, PREFIX},
};

/// Variables of Hugging Face's and AWS' tools and of OpenTelemetry, each with the setting whose default it replaces.
const STANDARD_VARIABLES: [(&str, &str); 14] = [
    ("AWS_ACCESS_KEY_ID", "downloads.s3_access_key_id"),
    ("AWS_SECRET_ACCESS_KEY", "downloads.s3_secret_access_key"),
    ("AWS_SESSION_TOKEN", "downloads.s3_session_token"),
    ("AWS_REGION", "downloads.s3_region"),
    ("AWS_ENDPOINT_URL_S3", "downloads.s3_endpoint"),
    ("AWS_SHARED_CREDENTIALS_FILE", "downloads.s3_credentials_file"),
    ("AWS_PROFILE", "downloads.s3_profile"),
    ("HF_ENDPOINT", "hub.url"),
    ("HF_TOKEN", "hub.token"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "traces.endpoint"),
    ("OTEL_EXPORTER_OTLP_HEADERS", "traces.headers"),
    ("OTEL_SERVICE_NAME", "traces.service_name"),
    ("OTEL_TRACES_SAMPLER", "traces.sampler"),
    ("OTEL_TRACES_SAMPLER_ARG", "traces.sample_ratio"),
];

/// The texts that settings are read from.
#[derive(Debug, Clone, Default)]
pub struct Layers {
    /// The file's path and text.
    file: Option<(PathBuf, String)>,
    /// Variables with the prefix, sorted by name.
    variables: Vec<(String, String)>,
    /// Settings with a default that the environment replaces.
    defaults: Vec<(&'static str, String)>,
}

impl Layers {
    /// Reads the settings file and the environment: the file `named`, which must exist, or else the first that exists
    /// of `hearth.toml` and `hearth/hearth.toml` in the user's configuration folder.
    ///
    /// # Errors
    /// The named file doesn't exist, the file can't be read, or a variable is not UTF-8.
    #[cfg(feature = "file")]
    pub fn from_file_and_environment(named: Option<&Path>) -> Result<Self, SettingsError> {
        let file = match crate::file::find(named)? {
            Some(path) => match std::fs::read_to_string(&path) {
                Ok(text) => Some((path, text)),
                Err(error) => {
                    let path = path.display();
                    let message = format!("the settings file {path} can't be read: {error}");
                    return Err(SettingsError::new(message));
                }
            },
            None => None,
        };
        Ok(Self { file, ..Self::from_environment()? })
    }

    /// The layer of a file's text alone.
    #[cfg(feature = "file")]
    pub(crate) fn of_file(path: &Path, text: &str) -> Self {
        Self { file: Some((path.to_owned(), text.to_owned())), ..Self::default() }
    }

    /// Reads the environment alone.
    ///
    /// # Errors
    /// A variable is not UTF-8.
    pub fn from_environment() -> Result<Self, SettingsError> {
        #[expect(clippy::disallowed_methods, reason = "this is the config module")]
        let (all, standard) = (std::env::vars_os(), |name| std::env::var(name).ok());
        let mut variables = Vec::new();
        for (name, value) in all {
            let Ok(name) = name.into_string() else { continue };
            if variable::has_prefix(&name) {
                let value = value
                    .into_string()
                    .map_err(|_| SettingsError::new(format!("the variable {name} is not valid UTF-8")))?;
                variables.push((name, value));
            }
        }
        let defaults = STANDARD_VARIABLES.iter().filter_map(|(variable, setting)| {
            let value = standard(variable)?.trim().to_owned();
            (!value.is_empty()).then_some((*setting, value))
        });
        Ok(Self { defaults: defaults.collect(), ..Self::from_variables(variables) })
    }

    /// Layers of these variables alone. An empty variable counts as absent.
    pub(crate) fn from_variables(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let variables =
            variables.into_iter().filter(|(name, value)| variable::has_prefix(name) && !value.is_empty());
        let mut variables: Vec<_> = variables.collect();
        variables.sort();
        Self { variables, ..Self::default() }
    }

    /// Removes a variable that is no setting of [`Settings`], and returns its value.
    pub(crate) fn take(&mut self, name: &str) -> Option<String> {
        let name = format!("{PREFIX}{name}");
        let at = self.variables.iter().position(|(other, _)| *other == name)?;
        Some(self.variables.remove(at).1)
    }

    /// Reads the settings, without a check of their bounds: a flag may yet replace a value.
    ///
    /// # Errors
    /// An unknown setting, or a value of a wrong type; the error names the file and line, or the variable.
    pub fn read(&self) -> Result<Settings, SettingsError> {
        self.build(self.file_text(), &self.variables).map_err(|error| self.explain(&error))
    }

    /// Checks the bounds of settings that were read from these layers.
    ///
    /// # Errors
    /// The first setting that is out of bounds, with its place.
    pub fn check(&self, settings: &Settings) -> Result<(), SettingsError> {
        settings.validate().map_err(|InvalidSetting(message)| self.locate(&message))
    }

    /// Adds the place of a setting to an error about its value, which begins with the setting's name.
    #[must_use]
    pub fn locate(&self, message: &str) -> SettingsError {
        let place = errors::first_name(message).and_then(|name| self.place(&name));
        match place {
            Some(place) => SettingsError::new(format!("{place}: {message}")),
            None => SettingsError::new(message),
        }
    }

    fn file_text(&self) -> Option<&str> {
        self.file.as_ref().map(|(_, text)| text.as_str())
    }

    /// Finds the layer with the error: the file if it fails alone, else a variable that fails with the file.
    fn explain(&self, error: &ConfigError) -> SettingsError {
        #[cfg(feature = "file")]
        if let Some((path, text)) = &self.file
            && let Err(error) = self.build(Some(text), &[])
        {
            return errors::in_file(path, text, &error);
        }
        for each in &self.variables {
            if let Err(error) = self.build(self.file_text(), std::slice::from_ref(each))
                // Another variable may set the field that is missing here.
                && !error.to_string().contains("missing ")
            {
                return errors::in_variable(&each.0, &error);
            }
        }
        SettingsError::new(format!("the settings can't be read: {error}"))
    }

    /// Finds the place of a setting's value, by the segments of its name.
    fn place(&self, name: &[String]) -> Option<Place> {
        let wanted = format!("{PREFIX}{}", name.join("__"));
        let own = self.variables.iter().find(|(variable, _)| variable.eq_ignore_ascii_case(&wanted));
        let table = name.first()?.as_str();
        let with_table =
            || self.variables.iter().find(|(variable, _)| json_variables::tables(variable).contains(&table));
        if let Some((variable, _)) = own.or_else(with_table) {
            return Some(Place::Variable(variable.clone()));
        }
        #[cfg(feature = "file")]
        if let Some((path, text)) = &self.file {
            return Some(Place::File { path: path.clone(), line: errors::line_of(text, name)? });
        }
        None
    }

    /// Builds settings of these layers. Values of variables are parsed as numbers and booleans where they look so.
    fn build(&self, file: Option<&str>, variables: &[(String, String)]) -> Result<Settings, ConfigError> {
        let mut builder = Config::builder();
        for (setting, value) in &self.defaults {
            builder = builder.set_default(setting, value.as_str())?;
        }
        #[cfg(feature = "file")]
        if let Some(text) = file {
            builder = builder.add_source(config::File::from_str(text, config::FileFormat::Toml));
        }
        #[cfg(not(feature = "file"))]
        let _ = file;
        let mut single = HashMap::new();
        for (name, value) in variables {
            if json_variables::tables(name).is_empty() {
                single.insert(name.clone(), value.clone());
            } else {
                builder = builder.add_source(JsonVariable::parse(name, value)?);
            }
        }
        let environment = Environment::with_prefix("HEARTH")
            .prefix_separator("_")
            .separator("__")
            .try_parsing(true)
            .ignore_empty(true)
            .source(Some(single));
        builder.add_source(environment).build()?.try_deserialize()
    }
}

#[cfg(all(test, feature = "file"))]
mod tests;
