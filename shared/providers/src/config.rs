//! Builds a provider's endpoint from the operator's settings.

use std::time::Duration;

use hearth_domain::{
    Secret,
    region::{REGION_RULE, is_region},
};
use hearth_settings::CredentialSource;
pub use hearth_settings::{Api, ProviderSettings};
use reqwest::Url;

use crate::{
    defaults::Defaults,
    dialect::Dialect,
    endpoint::{Endpoint, Timeouts},
    vendor::{self, Auth, Vendor},
};

/// The provider name of nodes.
pub const LOCAL: &str = "local";

/// The part of an address that the documentation leaves to the reader.
const REGION: &str = ".REGION.";

/// Routes of the dialects, the longer one first.
const ROUTES: [&str; 5] = ["/chat/completions", "/completions", "/responses", "/messages", "/embeddings"];

/// Settings of a provider that aren't valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("providers.{provider}{field}: {problem}")]
pub struct ConfigError {
    /// The provider's name.
    pub provider: String,
    /// The field at fault, with a dot before it; empty for all of it.
    pub field: &'static str,
    /// The problem, and what to do about it.
    pub problem: String,
}

/// Returns the vendor of a provider.
fn vendor_of(name: &str, settings: &ProviderSettings) -> Result<&'static Vendor, ConfigError> {
    let kind = settings.kind.as_deref().unwrap_or(name);
    vendor::of_kind(kind).ok_or_else(|| {
        let kinds: Vec<&str> = vendor::ALL.iter().map(|vendor| vendor.kind).collect();
        let problem = format!("{kind:?} isn't a kind of provider; kinds are {}", kinds.join(", "));
        ConfigError { provider: name.to_owned(), field: ".kind", problem }
    })
}

impl Endpoint {
    /// Builds the endpoint of the provider `name`. `key`: the stored key, which is used if the settings have none.
    ///
    /// # Errors
    /// The first setting that isn't valid.
    pub fn new(name: &str, settings: &ProviderSettings, key: Option<Secret>) -> Result<Self, ConfigError> {
        let error = |field, problem: String| ConfigError { provider: name.to_owned(), field, problem };
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name == LOCAL || name.is_empty() || name.len() > 64 || !name.chars().all(is_allowed) {
            let problem = "a provider's name is 1 to 64 letters, digits, dashes, dots and underscores, and not \"local\"";
            return Err(error("", problem.to_owned()));
        }
        let vendor = vendor_of(name, settings)?;
        if let Some((field, problem)) = Defaults::from(settings).problem() {
            return Err(error(field, problem.to_owned()));
        }
        let base_url = settings.base_url.as_deref().or(vendor.base_url).ok_or_else(|| {
            let problem = match vendor.kind {
                "openai_compatible" => {
                    "an OpenAI-compatible server needs base_url, the address of its API".to_owned()
                }
                _ => format!("{} has an address for each customer; set it", vendor.title),
            };
            error(".base_url", problem)
        })?;
        if base_url.contains(REGION) {
            let problem = "write a region, such as us-east-1, in place of REGION";
            return Err(error(".base_url", problem.to_owned()));
        }
        if !base_url.contains("://") {
            let problem =
                "it has no scheme; write http:// or https:// before it, as in http://10.0.0.2:8000/v1";
            return Err(error(".base_url", problem.to_owned()));
        }
        let url =
            Url::parse(base_url).map_err(|reason| error(".base_url", format!("it isn't a URL: {reason}")))?;
        if !matches!(url.scheme(), "http" | "https") || !url.username().is_empty() || url.password().is_some()
        {
            let problem = "it must begin with http:// or https://, and have no user and password";
            return Err(error(".base_url", problem.to_owned()));
        }
        // A key in the address would be stored and shown in clear.
        if url.query().is_some() || url.fragment().is_some() {
            let problem =
                "it must have no query (`?`) and no fragment (`#`); a key belongs in the key's own field";
            return Err(error(".base_url", problem.to_owned()));
        }
        if let Some((api, route)) = split_route(base_url) {
            let problem = format!("leave {route} out, which is added for each request: {api}");
            return Err(error(".base_url", problem));
        }
        if settings.region.as_deref().is_some_and(|region| !is_region(region)) {
            return Err(error(".region", REGION_RULE.to_owned()));
        }
        let dialect = match settings.api {
            Some(Api::Responses) if !vendor.responses => {
                return Err(error(".api", format!("{} has no responses API; leave it out", vendor.title)));
            }
            Some(Api::Responses) => Dialect::OpenAiResponses,
            None => vendor.dialect,
        };
        let signs_as_process = settings.credentials == Some(CredentialSource::Process);
        if signs_as_process && !matches!(vendor.auth, Auth::Aws(_)) {
            return Err(error(".credentials", "only Amazon Bedrock has it; leave it out".to_owned()));
        }
        if signs_as_process && settings.api_key.is_some() {
            return Err(error(
                ".credentials",
                "it stands in place of api_key; set one of the two".to_owned(),
            ));
        }
        if signs_as_process && !is_of_aws(&url) {
            let problem = "requests that are signed as the process go to AWS only; set it to \
                           https://bedrock-runtime.REGION.amazonaws.com";
            return Err(error(".base_url", problem.to_owned()));
        }
        let defaults = Timeouts::default();
        let seconds = |field, value: Option<u64>, default: Duration| match value {
            Some(0) => Err(error(field, "it must be at least 1".to_owned())),
            Some(seconds) => Ok(Duration::from_secs(seconds)),
            None => Ok(default),
        };
        Ok(Self {
            name: name.to_owned(),
            vendor,
            dialect,
            base_url: api_address(base_url, &url, vendor),
            region: settings.region.clone(),
            auth: vendor.auth,
            key: settings.api_key.clone().or(key).filter(|_| !signs_as_process),
            signs_as_process,
            timeouts: Timeouts {
                first_byte: seconds(".first_byte_seconds", settings.first_byte_seconds, defaults.first_byte)?,
                between_bytes: seconds(
                    ".between_bytes_seconds",
                    settings.between_bytes_seconds,
                    defaults.between_bytes,
                )?,
                whole_answer: seconds(
                    ".first_byte_seconds",
                    settings.first_byte_seconds,
                    defaults.whole_answer,
                )?,
                total: seconds(".whole_seconds", settings.whole_seconds, defaults.total)?,
            },
        })
    }
}

/// The address to which routes are added. Anthropic's SDKs take theirs without the version, so that is added to one without it.
fn api_address(base_url: &str, url: &Url, vendor: &Vendor) -> String {
    let last = url.path().trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let number = last.strip_prefix('v').unwrap_or_default();
    let has_version = number.starts_with(|digit: char| digit.is_ascii_digit());
    let version = if vendor.dialect == Dialect::Anthropic && !has_version { "/v1" } else { "" };
    format!("{}{version}", base_url.trim_end_matches('/'))
}

/// The address of an API and the route at its end, if an address has one of those that are added for requests.
fn split_route(base_url: &str) -> Option<(&str, &str)> {
    let url = base_url.trim_end_matches('/');
    let end = ROUTES.iter().find(|route| url.ends_with(*route))?;
    Some(url.split_at(url.len() - end.len()))
}

/// True for an address of an AWS service.
fn is_of_aws(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    url.scheme() == "https" && [".amazonaws.com", ".amazonaws.com.cn"].iter().any(|end| host.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(json: &str) -> ProviderSettings {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn vendor_needs_no_settings_but_its_name() {
        let endpoint = Endpoint::new("openai", &settings("{}"), Some(Secret::new("sk"))).unwrap();
        assert_eq!(endpoint.base_url, "https://api.openai.com/v1");
        assert_eq!(endpoint.key, Some(Secret::new("sk")));
        let own = settings(
            r#"{"kind": "openai_compatible", "base_url": "http://10.0.0.2:8000/v1/", "api_key": "k"}"#,
        );
        let endpoint = Endpoint::new("rig", &own, Some(Secret::new("other"))).unwrap();
        assert_eq!(
            (endpoint.base_url.as_str(), endpoint.key),
            ("http://10.0.0.2:8000/v1", Some(Secret::new("k")))
        );
    }

    #[test]
    fn credentials_of_the_process_stand_in_place_of_a_stored_key() {
        let url = "https://bedrock-runtime.eu-central-1.amazonaws.com";
        for (source, signs_as_process, key) in
            [("", false, Some(Secret::new("a:b"))), (r#", "credentials": "process""#, true, None)]
        {
            let own = settings(&format!(r#"{{"base_url": "{url}"{source}}}"#));
            let endpoint = Endpoint::new("bedrock", &own, Some(Secret::new("a:b"))).unwrap();
            assert_eq!((endpoint.signs_as_process, &endpoint.key), (signs_as_process, &key));
            assert!(endpoint.has_credentials());
        }
        let own = settings(&format!(r#"{{"base_url": "{url}"}}"#));
        assert!(!Endpoint::new("bedrock", &own, None).unwrap().has_credentials());
    }

    #[test]
    fn api_setting_selects_the_responses_dialect() {
        for (json, dialect) in [
            ("{}", vendor::of_kind("openai").unwrap().dialect),
            (r#"{"api": "responses"}"#, Dialect::OpenAiResponses),
        ] {
            assert_eq!(Endpoint::new("openai", &settings(json), None).unwrap().dialect, dialect, "{json}");
        }
    }

    #[test]
    fn usual_mistakes_in_an_address_are_explained() {
        let problem = |url: &str| {
            let own = settings(&format!(r#"{{"kind": "openai_compatible", "base_url": "{url}"}}"#));
            Endpoint::new("rig", &own, None).map(|endpoint| endpoint.base_url).map_err(|error| error.problem)
        };
        for url in ["10.0.0.2:8000/v1", "localhost:8000/v1", "rig.example/v1", "user:pass@rig.example"] {
            let problem = problem(url).unwrap_err();
            assert!(problem.contains("http:// or https://") && !problem.contains("pass"), "{url}: {problem}");
        }
        for (url, route) in [
            ("http://rig:8000/v1/chat/completions", "/chat/completions"),
            ("http://rig:8000/v1/completions/", "/completions"),
            ("http://rig:8000/v1/messages", "/messages"),
            ("http://rig:8000/v1/responses", "/responses"),
        ] {
            let problem = problem(url).unwrap_err();
            assert!(problem.contains(&format!("leave {route} out")), "{url}: {problem}");
            assert!(problem.ends_with("http://rig:8000/v1"), "{url}: {problem}");
        }
        assert_eq!(problem("http://rig/messages/v1").unwrap(), "http://rig/messages/v1");
    }

    #[test]
    fn address_of_anthropics_api_may_lack_the_version() {
        let address = |kind: &str, url: &str| {
            let own = settings(&format!(r#"{{"kind": "{kind}", "base_url": "{url}"}}"#));
            Endpoint::new("own", &own, None).unwrap().base_url
        };
        for (url, expected) in [
            ("https://api.anthropic.com", "https://api.anthropic.com/v1"),
            ("https://api.anthropic.com/", "https://api.anthropic.com/v1"),
            ("https://api.anthropic.com/v1/", "https://api.anthropic.com/v1"),
            ("https://proxy.example/anthropic", "https://proxy.example/anthropic/v1"),
            ("http://v1.example:8000", "http://v1.example:8000/v1"),
        ] {
            assert_eq!(address("anthropic", url), expected, "{url}");
        }
        assert_eq!(address("openai_compatible", "http://rig:8000"), "http://rig:8000");
    }

    #[test]
    fn invalid_setting_is_named() {
        let cases = [
            ("rig", "{}", ".kind"),
            ("azure", "{}", ".base_url"),
            ("openai", r#"{"base_url": "file:///etc"}"#, ".base_url"),
            ("openai", r#"{"base_url": "https://user:pass@x"}"#, ".base_url"),
            ("openai", r#"{"whole_seconds": 0}"#, ".whole_seconds"),
            ("openai", r#"{"region": "the EU"}"#, ".region"),
            ("openai", r#"{"temperature": 3}"#, ".temperature"),
            ("openai", r#"{"max_tokens": 0}"#, ".max_tokens"),
            ("openai", r#"{"system_prompt": ""}"#, ".system_prompt"),
            ("anthropic", r#"{"api": "responses"}"#, ".api"),
            ("openai", r#"{"credentials": "process"}"#, ".credentials"),
            (
                "bedrock",
                r#"{"base_url": "https://x", "api_key": "a:b", "credentials": "process"}"#,
                ".credentials",
            ),
            (
                "bedrock",
                r#"{"base_url": "https://bedrock.us-east-1.example.org", "credentials": "process"}"#,
                ".base_url",
            ),
            (
                "bedrock",
                r#"{"base_url": "https://bedrock.us-east-1.evilamazonaws.com", "credentials": "process"}"#,
                ".base_url",
            ),
            (
                "bedrock",
                r#"{"base_url": "http://bedrock.us-east-1.amazonaws.com", "credentials": "process"}"#,
                ".base_url",
            ),
            ("local", r#"{"kind": "openai"}"#, ""),
            ("a:b", r#"{"kind": "openai"}"#, ""),
        ];
        for (name, json, field) in cases {
            let error = Endpoint::new(name, &settings(json), None).unwrap_err();
            assert_eq!(error.field, field, "{name} {json}: {error}");
            assert!(!error.to_string().contains("pass@"), "{error}");
        }
    }
}
