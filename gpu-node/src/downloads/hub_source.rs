//! A source at the hub: `OWNER/REPO`, `OWNER/REPO:QUANTISATION`, or the address of a page or a file.

use std::{path::Path, str::FromStr};

use reqwest::Url;

use super::name::{BadName, FileName, RepoName};

/// Host names of the hub.
const HUB_HOSTS: [&str; 4] = ["huggingface.co", "www.huggingface.co", "hf.co", "www.hf.co"];
/// Host names of Ollama's library.
pub(super) const OLLAMA_HOSTS: [&str; 3] = ["ollama.com", "www.ollama.com", "registry.ollama.ai"];
/// First segments of the hub's addresses that are no owners of models.
const OTHER_PAGES: [&str; 7] = ["datasets", "spaces", "models", "collections", "docs", "blog", "papers"];

/// A repository, with the file or the quantisation if the text names one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubSource {
    /// The repository.
    pub repo: RepoName,
    /// The file.
    pub file: Option<FileName>,
    /// The quantisation, such as `Q4_K_M`.
    pub quantisation: Option<String>,
    /// The host of an address, if it isn't one of the hub's: perhaps a mirror.
    pub host: Option<String>,
    /// The original text.
    pub text: String,
}

/// The error of a text that names no model of the hub, with advice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadSource(String);

impl std::fmt::Display for BadSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadSource {}

impl From<BadName> for BadSource {
    fn from(bad: BadName) -> Self {
        Self(bad.to_string())
    }
}

impl FromStr for HubSource {
    type Err = BadSource;

    fn from_str(text: &str) -> Result<Self, BadSource> {
        let text = text.trim();
        if let Some(advice) = advice_on_local_path(text) {
            return Err(BadSource(advice));
        }
        let (host, segments, shown_file) = split(text)?;
        let is_address = !host.is_empty();
        if OLLAMA_HOSTS.contains(&host.as_str()) || (host.is_empty() && is_ollama_name(&segments)) {
            return Err(BadSource(advice_on_ollama_name(&segments)));
        }
        let host = Some(host).filter(|host| !host.is_empty() && !HUB_HOSTS.contains(&host.as_str()));
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let segments = segments.strip_prefix(&["api", "models"]).unwrap_or(&segments);
        let (owner, repo, rest) = match segments {
            [owner, repo, rest @ ..] if !OTHER_PAGES.contains(owner) => (owner, repo, rest),
            [.., file] if host.is_some() && file.ends_with(".gguf") => {
                return Err(BadSource(format!(
                    "models are pulled from Hugging Face; a file from elsewhere goes into the folder `models` of the \
                     data folder: curl -L -O {text}"
                )));
            }
            _ => {
                return Err(BadSource("write OWNER/REPO, or paste the address of a model's page".to_owned()));
            }
        };
        let (repo, tag) = repo.split_once(':').map_or((*repo, None), |(repo, tag)| (repo, Some(tag)));
        let repo: RepoName = format!("{owner}/{repo}").parse()?;
        let source = Self { repo, file: None, quantisation: None, host, text: text.to_owned() };
        source.with_tag(tag)?.with_path(rest, is_address)?.with_shown_file(shown_file)
    }
}

impl HubSource {
    /// True for an address of the hub itself.
    pub(super) fn is_of_hub(url: &Url) -> bool {
        url.host_str().is_some_and(|host| HUB_HOSTS.contains(&host.to_lowercase().as_str()))
    }

    /// Applies the text after a colon: a quantisation, or a file.
    fn with_tag(self, tag: Option<&str>) -> Result<Self, BadSource> {
        Ok(match tag {
            None | Some("" | "latest") => self,
            Some(file) if file.ends_with(".gguf") => Self { file: Some(file.parse()?), ..self },
            Some(tag) => Self { quantisation: Some(tag.to_owned()), ..self },
        })
    }

    /// Applies the segments after the repository: the kind of a page, a revision, a file. Other pages of an address are
    /// ignored.
    fn with_path(self, rest: &[&str], is_address: bool) -> Result<Self, BadSource> {
        match rest {
            ["blob" | "resolve" | "raw", revision, file @ ..] if !file.is_empty() => {
                let repo = self.repo.clone().at(revision)?;
                Ok(Self { repo, file: Some(file.join("/").parse()?), ..self })
            }
            ["blob" | "resolve" | "raw", ..] => {
                Err(BadSource("the address names no file; write OWNER/REPO instead".to_owned()))
            }
            ["tree", revision, ..] => Ok(Self { repo: self.repo.clone().at(revision)?, ..self }),
            [.., last] if last.ends_with(".gguf") => Ok(Self { file: Some(rest.join("/").parse()?), ..self }),
            [] => Ok(self),
            _ if is_address => Ok(self),
            _ => Err(BadSource("write it as OWNER/REPO, or OWNER/REPO/FILE.gguf".to_owned())),
        }
    }

    /// Applies the file that a page shows.
    fn with_shown_file(self, file: Option<String>) -> Result<Self, BadSource> {
        match file {
            Some(file) if self.file.is_none() => Ok(Self { file: Some(file.parse()?), ..self }),
            _ => Ok(self),
        }
    }
}

/// Splits a text into the host, the segments of the path, and the file in the query.
fn split(text: &str) -> Result<(String, Vec<String>, Option<String>), BadSource> {
    let no_scheme = text.strip_prefix("hf://").or_else(|| text.strip_prefix("hf:"));
    let segments = |path: &str| -> Vec<String> {
        path.split('/').filter(|segment| !segment.is_empty()).map(str::to_owned).collect()
    };
    if let Some(path) = no_scheme {
        return Ok((HUB_HOSTS[0].to_owned(), segments(path), None));
    }
    let first = text.split('/').next().unwrap_or(text).to_lowercase();
    let is_host = [&HUB_HOSTS[..], &OLLAMA_HOSTS[..]].concat().contains(&first.as_str());
    let address = match text.contains("://") {
        true => text.to_owned(),
        false if is_host => format!("https://{text}"),
        false => return Ok((String::new(), segments(text), None)),
    };
    let invalid = || BadSource("the address can't be read; write OWNER/REPO instead".to_owned());
    let url = Url::parse(&address).map_err(|_| invalid())?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(invalid());
    }
    let decoded = url.path().split('/').filter(|segment| !segment.is_empty()).map(|segment| {
        // A segment is decoded like a query's value, except for the plus sign.
        let segment = segment.replace('+', "%2B");
        url::form_urlencoded::parse(segment.as_bytes())
            .next()
            .map_or_else(String::new, |(name, _)| name.into())
    });
    let shown =
        url.query_pairs().find(|(name, _)| name == "show_file_info").map(|(_, file)| file.into_owned());
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').to_lowercase();
    Ok((host, decoded.collect(), shown.filter(|file| file.ends_with(".gguf"))))
}

fn advice_on_local_path(text: &str) -> Option<String> {
    let is_path = text.starts_with(['/', '.', '~']) || (text.ends_with(".gguf") && Path::new(text).is_file());
    is_path.then(|| {
        format!(
            "{text:?} is a path on this machine; `hearth up --model FILE` uses it from there, and a file in the folder \
             `models` of the data folder needs no command"
        )
    })
}

/// Returns whether the text is a name of Ollama's library: one segment, with a tag after a colon.
fn is_ollama_name(segments: &[String]) -> bool {
    matches!(segments, [name] if !name.is_empty() && !name.ends_with(".gguf"))
        || matches!(segments, [first, _] if first == "library")
}

fn advice_on_ollama_name(segments: &[String]) -> String {
    let last = segments.last().map_or("", String::as_str);
    let name = last.split(':').next().unwrap_or(last);
    format!(
        "this is a name of Ollama's library, and not of the hub; look for {name} as GGUF on \
         https://huggingface.co/models?library=gguf&search={name} and pull OWNER/REPO, such as Qwen/Qwen3-0.6B-GGUF"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (String, String, Option<String>, Option<String>) {
        let source: HubSource = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
        let file = source.file.map(|file| file.as_str().to_owned());
        (source.repo.as_str().to_owned(), source.repo.revision().to_owned(), file, source.quantisation)
    }

    #[test]
    fn usual_forms_are_parsed() {
        let repo = "Qwen/Qwen3-0.6B-GGUF";
        let file = "Qwen3-0.6B-Q8_0.gguf";
        for (text, revision, expected_file, quantisation) in [
            (repo.to_owned(), "main", None, None),
            (format!("{repo}:Q8_0"), "main", None, Some("Q8_0")),
            (format!("{repo}:latest"), "main", None, None),
            (format!("{repo}:{file}"), "main", Some(file), None),
            (format!("{repo}/{file}"), "main", Some(file), None),
            (format!("hf.co/{repo}:Q4_K_M"), "main", None, Some("Q4_K_M")),
            (format!("hf://{repo}"), "main", None, None),
            (format!("huggingface.co/{repo}"), "main", None, None),
            (format!("https://huggingface.co/{repo}"), "main", None, None),
            (format!("https://huggingface.co/{repo}/"), "main", None, None),
            (format!("https://www.huggingface.co/{repo}?library=transformers#usage"), "main", None, None),
            (format!("https://huggingface.co/{repo}/tree/main"), "main", None, None),
            (format!("https://huggingface.co/{repo}/tree/v2/sub"), "v2", None, None),
            (format!("https://huggingface.co/{repo}/discussions/3"), "main", None, None),
            (format!("https://huggingface.co/{repo}/blob/main/{file}"), "main", Some(file), None),
            (
                format!("https://huggingface.co/{repo}/resolve/abc123/{file}?download=true"),
                "abc123",
                Some(file),
                None,
            ),
            (
                format!("https://hf.co/{repo}/blob/main/q8/{file}"),
                "main",
                Some("q8/Qwen3-0.6B-Q8_0.gguf"),
                None,
            ),
            (format!("https://huggingface.co/{repo}?show_file_info={file}"), "main", Some(file), None),
            (format!("  HTTPS://HuggingFace.co/{repo}  "), "main", None, None),
        ] {
            let expected = (
                repo.to_owned(),
                revision.to_owned(),
                expected_file.map(str::to_owned),
                quantisation.map(str::to_owned),
            );
            assert_eq!(parsed(&text), expected, "{text}");
        }
        assert_eq!(
            parsed("https://hf.co/a/b/blob/main/my%20model+1.gguf").2.as_deref(),
            Some("my model+1.gguf")
        );
    }

    #[test]
    fn other_addresses_keep_their_host() {
        let source: HubSource = "https://hf-mirror.com/a/b/resolve/main/m.gguf".parse().unwrap();
        assert_eq!(source.host.as_deref(), Some("hf-mirror.com"));
        assert_eq!("hf.co/a/b".parse::<HubSource>().unwrap().host, None);
    }

    #[test]
    fn text_without_a_model_is_an_error_with_advice() {
        for (text, words) in [
            ("qwen3:0.6b", "look for qwen3 as GGUF"),
            ("llama3.2", "look for llama3.2"),
            ("ollama.com/library/qwen3:8b", "look for qwen3"),
            ("https://ollama.com/library/gemma3", "look for gemma3"),
            ("library/qwen3", "Ollama"),
            ("https://huggingface.co/models?search=qwen", "OWNER/REPO"),
            ("https://huggingface.co/datasets/a/b", "OWNER/REPO"),
            ("https://huggingface.co/Qwen", "OWNER/REPO"),
            ("./model.gguf", "hearth up --model FILE"),
            ("/models/m.gguf", "hearth up --model FILE"),
            ("https://huggingface.co/a/b/blob/main/model.safetensors", ".gguf"),
            ("https://huggingface.co/a/b/resolve/main/%2e%2e/m.gguf", "names no file"),
            ("https://hf.co/a/..%2Fb", "OWNER/NAME"),
            ("https://example.com/m.gguf", "curl -L -O https://example.com/m.gguf"),
            ("ftp://huggingface.co/a/b", "can't be read"),
            ("", "OWNER/REPO"),
        ] {
            let error = text.parse::<HubSource>().unwrap_err().to_string();
            assert!(error.contains(words), "{text:?} gave {error:?}");
        }
    }
}
