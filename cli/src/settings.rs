//! Settings of this program: defaults, then `hearth.toml`, then `HEARTH_*` variables, then flags.

#[cfg(feature = "engine")]
use std::{ffi::OsString, path::Path};
use std::{net::IpAddr, path::PathBuf};

use anyhow::Result;
use clap::Args;
use hearth_gateway::Routing;
use hearth_settings::Layers;
pub(crate) use hearth_settings::Settings;

/// The id of the model in this binary, which needs no download.
pub(crate) const TINY_ID: &str = "tiny-chat";

/// Flags that change settings.
#[derive(Debug, Default, Clone, Args)]
pub(crate) struct SettingsFlags {
    /// The settings file [default: ./hearth.toml, then hearth/hearth.toml in the user's configuration folder]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The data folder
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// The address to listen on
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) host: Option<IpAddr>,
    /// The port to listen on; 0 takes any free one
    #[arg(long, value_name = "N")]
    pub(crate) port: Option<u16>,
    /// Serve https with the certificate and chain in this PEM file
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_certificate: Option<PathBuf>,
    /// The private key of the certificate, a PEM file
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Serve https with a certificate that Let's Encrypt issues for this name; may be repeated
    #[arg(long, value_name = "NAME", conflicts_with = "tls_certificate")]
    pub(crate) tls_domain: Vec<String>,
    /// Redirect http on this port to https
    #[arg(long, value_name = "N")]
    pub(crate) tls_redirect_port: Option<u16>,
    /// The default model: a GGUF file, or the id of one in the model folder
    #[arg(long, value_name = "FILE")]
    pub(crate) model: Option<PathBuf>,
}

impl SettingsFlags {
    /// Flags of a command that has none but the data folder.
    pub(crate) fn with_data(data: Option<PathBuf>) -> Self {
        Self { data, ..Self::default() }
    }

    fn apply(&self, settings: &mut Settings) {
        if let Some(data) = &self.data {
            settings.data.clone_from(data);
        }
        settings.host = self.host.unwrap_or(settings.host);
        settings.port = self.port.unwrap_or(settings.port);
        if self.tls_certificate.is_some() {
            settings.tls.certificate.clone_from(&self.tls_certificate);
            settings.tls.key.clone_from(&self.tls_key);
            settings.tls.domains.clear();
        }
        if !self.tls_domain.is_empty() {
            settings.tls.domains.clone_from(&self.tls_domain);
            (settings.tls.certificate, settings.tls.key) = (None, None);
        }
        settings.tls.redirect_port = self.tls_redirect_port.or(settings.tls.redirect_port);
        if self.model.is_some() {
            settings.model.clone_from(&self.model);
        }
    }
}

/// Reads and checks the settings.
///
/// # Errors
/// An unknown setting, or a value that is invalid; the error names the file and line, or the variable.
pub(crate) fn read(flags: &SettingsFlags) -> Result<Settings> {
    let layers = Layers::from_file_and_environment(flags.config.as_deref())?;
    let mut settings = layers.read()?;
    flags.apply(&mut settings);
    layers.check(&settings)?;
    Routing::new(&settings).map_err(|error| layers.locate(&error.to_string()))?;
    Ok(settings)
}

/// Finds the program that the shell would start for a name.
#[cfg(feature = "engine")]
pub(crate) fn find_program(name: &Path) -> Option<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "this is a config module")]
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders).map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// The environment of workers: the part of this process' environment that they need.
#[cfg(feature = "engine")]
pub(crate) fn worker_environment() -> Vec<(OsString, OsString)> {
    #[expect(clippy::disallowed_methods, reason = "this is a config module")]
    let all = std::env::vars_os();
    hearth_node::confine::environment(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_file(toml: &str) -> Result<Settings> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hearth.toml");
        std::fs::write(&path, toml).unwrap();
        read(&SettingsFlags { config: Some(path), port: Some(1234), ..SettingsFlags::default() })
    }

    #[test]
    fn flag_replaces_the_file() {
        let settings = read_file("port = 99\n[node]\nslots = 2\n").unwrap();
        assert_eq!((settings.port, settings.node.slots), (1234, 2));
    }

    #[test]
    fn model_settings_change_the_catalog() {
        let toml =
            "[models.'rig:qwen3.5-Mini*']\ncontext_length = 32768\nprice = {input = 0.1, output = 3}\n";
        let model_info = Routing::new(&read_file(toml).unwrap()).unwrap().model_info;
        let info = model_info.info("rig", "openai_compatible", "qwen3.5-Mini-8b").unwrap();
        assert_eq!(info.context_length, Some(32768));
        assert!(info.price.as_ref().is_some_and(|price| price.input.is_some() && price.output.is_some()));
    }

    #[test]
    fn invalid_setting_is_named_with_its_line() {
        for (toml, words) in [
            ("[node]\n\nslots = 0", "hearth.toml, line 3: node.slots must be"),
            ("[models.'gpt-5']\ncontext_length = 1", "models.\"gpt-5\""),
            ("[models.'openai:gpt-5.1']\ntemperature = -1", "models.\"openai:gpt-5.1\".temperature"),
            ("[providers.openai]\nmax_tokens = 0", "hearth.toml, line 2: providers.openai.max_tokens"),
        ] {
            let error = format!("{:#}", read_file(toml).unwrap_err());
            assert!(error.contains(words), "{toml:?} gave {error:?}");
        }
    }

    #[cfg(feature = "engine")]
    #[test]
    fn body_memory_has_room_for_the_largest_body() {
        let largest = hearth_http::body_budget::BODY_MAX_BYTES as u64;
        assert_eq!(hearth_settings::ServerSettings::REQUEST_BODY_MAX_BYTES, largest);
    }
}
