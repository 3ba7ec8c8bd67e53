//! Sources of downloads.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use reqwest::Url;

use super::{
    clients::address_without_query,
    error::DownloadError,
    hub_source::{HubSource, OLLAMA_HOSTS},
    s3::S3Object,
};

/// Owner of the names of Ollama's library that have none.
const LIBRARY: &str = "library";

/// A parsed source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A repository of the hub.
    Hub(HubSource),
    /// A file at an address.
    Address(Url),
    /// A file of the node.
    Path(PathBuf),
    /// A model of a registry.
    Registry(RegistryName),
    /// An object of S3.
    S3(S3Object),
}

/// A name of a registry of the OCI, such as Ollama's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryName {
    /// The registry; none for the one of the settings.
    pub host: Option<String>,
    /// The repository, with its owner.
    pub repository: String,
    /// The tag.
    pub tag: String,
}

impl Source {
    /// Parses a source. `hub`: the host of the hub of the settings.
    ///
    /// # Errors
    /// It is none, with advice.
    pub fn parse(text: &str, hub: &str) -> Result<Self, DownloadError> {
        let text = text.trim();
        if let Some(rest) = text.strip_prefix("s3://") {
            return S3Object::parse(rest).map(Self::S3);
        }
        if let Some(path) = local_path(text)? {
            return Ok(Self::Path(path));
        }
        if let Some(name) = text.strip_prefix("oci://") {
            let (host, name) = name.split_once('/').ok_or_else(|| bad_registry_name(text))?;
            return RegistryName::parse(Some(host), name)
                .ok_or_else(|| bad_registry_name(text))
                .map(Self::Registry);
        }
        if let Some(name) = ollama_name(text) {
            return RegistryName::parse(None, &name)
                .ok_or_else(|| bad_registry_name(text))
                .map(Self::Registry);
        }
        if text.contains("://") && !text.starts_with("hf://") {
            let url =
                Url::parse(text).map_err(|_| DownloadError::invalid_source("the address can't be read"))?;
            if !matches!(url.scheme(), "http" | "https") {
                return Err(DownloadError::invalid_source(format!(
                    "a file is downloaded by https, and not by {}",
                    url.scheme()
                )));
            }
            // A page or a file of the hub, else any file.
            let source = text.parse::<HubSource>();
            let is_of_mirror = |source: &HubSource| {
                // A file in a folder of the same host isn't a repository.
                source.host.as_deref() == Some(hub) && !source.repo.as_str().ends_with(".gguf")
            };
            return match source {
                Ok(source) if source.host.is_none() || is_of_mirror(&source) => Ok(Self::Hub(source)),
                Err(error) if HubSource::is_of_hub(&url) => {
                    Err(DownloadError::invalid_source(error.to_string()))
                }
                _ => Ok(Self::Address(url)),
            };
        }
        let source = text.parse::<HubSource>();
        source.map(Self::Hub).map_err(|error| DownloadError::invalid_source(error.to_string()))
    }

    /// True for an address with a query, which may be a credential: it isn't shown.
    #[must_use]
    pub fn has_query(&self) -> bool {
        matches!(self, Self::Address(url) if url.query().is_some())
    }
}

/// The canonical form, without an address' query.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hub(source) => {
                write!(f, "hf:{}", source.repo.as_str())?;
                match (&source.file, &source.quantisation, source.repo.is_main()) {
                    (Some(file), _, false) => {
                        write!(f, "/resolve/{}/{}", source.repo.revision(), file.as_str())
                    }
                    (Some(file), _, true) => write!(f, "/{}", file.as_str()),
                    (None, Some(quantisation), _) => write!(f, ":{quantisation}"),
                    (None, None, false) => write!(f, "/tree/{}", source.repo.revision()),
                    (None, None, true) => Ok(()),
                }
            }
            Self::Address(url) => f.write_str(&address_without_query(url)),
            Self::Path(path) => write!(f, "{}", path.display()),
            Self::S3(object) => write!(f, "{object}"),
            Self::Registry(RegistryName { host: None, repository, tag }) => {
                write!(f, "ollama:{}:{tag}", repository.strip_prefix("library/").unwrap_or(repository))
            }
            Self::Registry(RegistryName { host: Some(host), repository, tag }) => {
                write!(f, "oci://{host}/{repository}:{tag}")
            }
        }
    }
}

impl RegistryName {
    fn parse(host: Option<&str>, name: &str) -> Option<Self> {
        let (repository, tag) = name.rsplit_once(':').unwrap_or((name, "latest"));
        let repository = match (host, repository.contains('/')) {
            (None, false) => format!("{LIBRARY}/{repository}"),
            _ => repository.to_owned(),
        };
        let is_part = |part: &str| {
            let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            (1..=128).contains(&part.len())
                && part.chars().all(allowed)
                && !part.starts_with(['.', '-'])
                && !part.contains("..")
        };
        let is_host = |host: &str| {
            let (name, port) = host.split_once(':').unwrap_or((host, "443"));
            is_part(name) && port.parse::<u16>().is_ok()
        };
        let is_valid = repository.split('/').count() <= 3
            && repository.split('/').all(is_part)
            && is_part(tag)
            && host.is_none_or(is_host);
        is_valid.then(|| Self { host: host.map(str::to_owned), repository, tag: tag.to_owned() })
    }

    /// Folder and name of the model's file, below the model folder.
    pub(super) fn file(&self, default_host: &str) -> (PathBuf, String) {
        let host = self.host.as_deref().unwrap_or(default_host).replace(':', "_");
        let name = self.repository.rsplit('/').next().unwrap_or(&self.repository);
        let file = match self.tag.as_str() {
            // Clients leave this tag out.
            "latest" => format!("{name}.gguf"),
            tag => format!("{name}-{tag}.gguf"),
        };
        (Path::new(&host).join(&self.repository), file)
    }
}

fn bad_registry_name(text: &str) -> DownloadError {
    DownloadError::invalid_source(format!(
        "{text:?} is no model of a registry; write ollama:NAME:TAG or oci://HOST/NAME:TAG"
    ))
}

/// The whole path of a file of the node, if the text is a path.
fn local_path(text: &str) -> Result<Option<PathBuf>, DownloadError> {
    let path = text.strip_prefix("file://").unwrap_or(text);
    let is_path = path.len() < text.len() || text.starts_with(['/', '.', '~']);
    match is_path {
        true if Path::new(path).is_absolute() => Ok(Some(PathBuf::from(path))),
        true => Err(DownloadError::invalid_source(format!("{text:?} is no whole path"))),
        false => Ok(None),
    }
}

/// The name in Ollama's library, if the text is one.
fn ollama_name(text: &str) -> Option<String> {
    if let Some(name) = text.strip_prefix("ollama:") {
        return Some(name.to_owned());
    }
    let address = text.strip_prefix("https://").unwrap_or(text);
    if let Some((host, name)) = address.split_once('/')
        && OLLAMA_HOSTS.contains(&host)
    {
        return Some(name.split(['?', '#']).next().unwrap_or(name).trim_end_matches('/').to_owned());
    }
    let is_library = text.strip_prefix("library/").is_some_and(|name| !name.contains('/'));
    let is_name =
        !text.contains('/') && !text.is_empty() && !text.ends_with(".gguf") && !text.contains("://");
    (is_library || (is_name && !text.starts_with("hf:"))).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_each_kind_is_parsed_to_its_canonical_form() {
        for (text, canonical) in [
            ("Qwen/Qwen3-0.6B-GGUF", "hf:Qwen/Qwen3-0.6B-GGUF"),
            ("hf:Qwen/Qwen3-0.6B-GGUF", "hf:Qwen/Qwen3-0.6B-GGUF"),
            ("Qwen/Qwen3-0.6B-GGUF:Q8_0", "hf:Qwen/Qwen3-0.6B-GGUF:Q8_0"),
            ("https://huggingface.co/a/b/blob/main/q4/m.gguf", "hf:a/b/q4/m.gguf"),
            ("https://huggingface.co/a/b/resolve/dev/m.gguf?download=true", "hf:a/b/resolve/dev/m.gguf"),
            ("https://mirror.example/a/b", "hf:a/b"),
            ("https://mirror.example/a/m.gguf", "https://mirror.example/a/m.gguf"),
            ("https://models.example/m.gguf?sig=secret#x", "https://models.example/m.gguf"),
            ("https://user:secret@models.example/x/m.gguf", "https://models.example/x/m.gguf"),
            ("qwen3", "ollama:qwen3:latest"),
            ("qwen3:0.6b", "ollama:qwen3:0.6b"),
            ("ollama:me/own:q4", "ollama:me/own:q4"),
            ("library/qwen3", "ollama:qwen3:latest"),
            ("https://ollama.com/library/qwen3:8b", "ollama:qwen3:8b"),
            ("registry.ollama.ai/library/qwen3", "ollama:qwen3:latest"),
            ("oci://reg.example:5000/team/m:v1", "oci://reg.example:5000/team/m:v1"),
            ("s3://my-models/q4/m.gguf", "s3://my-models/q4/m.gguf"),
            ("/data/m.gguf", "/data/m.gguf"),
            ("file:///data/m.gguf", "/data/m.gguf"),
        ] {
            let source =
                Source::parse(text, "mirror.example").unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(source.to_string(), canonical, "{text}");
            // The canonical form is a source of the same file, unless it lacks a credential.
            if !text.contains("secret") {
                assert_eq!(Source::parse(canonical, "mirror.example").unwrap().to_string(), canonical);
            }
        }
    }

    #[test]
    fn text_without_a_source_is_an_error_with_advice() {
        for (text, words) in [
            ("s3://bucket", "s3://BUCKET/KEY"),
            ("s3://b/m.gguf", "s3://BUCKET/KEY"),
            ("./m.gguf", "no whole path"),
            ("~/m.gguf", "no whole path"),
            ("ftp://example.com/m.gguf", "by https"),
            ("ollama:../x", "no model of a registry"),
            ("oci://x", "no model of a registry"),
            ("oci://reg.example/a/../b", "no model of a registry"),
            ("a/b/c", "OWNER/REPO"),
            ("", "OWNER/REPO"),
        ] {
            let error = Source::parse(text, "mirror.example").unwrap_err().to_string();
            assert!(error.contains(words), "{text:?} gave {error:?}");
        }
    }
}
