//! Reads a credential from standard input: an argument would be visible in the list of processes and in the shell's
//! history.

use std::io::{IsTerminal as _, Read as _};

use anyhow::Context as _;
use clap::ValueEnum;
use serde_json::{Value, json};

use super::owner::Owner;

/// Limit of a credential's bytes.
const INPUT_MAX_BYTES: u64 = 64 << 10;

/// A key to store.
#[derive(Debug, clap::Args)]
pub(crate) struct Set {
    /// The provider: a vendor such as openai, one of hearth.toml, or with --base-url a new name
    #[arg(value_name = "PROVIDER")]
    pub(crate) provider: String,
    #[command(flatten)]
    pub(crate) owner: Owner,
    /// The kind of a key that isn't the operator's; without it: endpoint_key with --base-url, else api_key
    #[arg(long, value_name = "KIND")]
    pub(crate) kind: Option<Kind>,
    /// The address of the API, if it isn't the vendor's
    #[arg(long, value_name = "URL")]
    pub(crate) base_url: Option<String>,
    /// The vendor whose API is at --base-url; without it: openai_compatible
    #[arg(long, value_name = "KIND", requires = "base_url")]
    pub(crate) vendor: Option<String>,
    /// A name for the key in lists
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
}

/// The kind of a credential, and the form of standard input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// The key
    ApiKey,
    /// The key of a server at --base-url; may be empty
    EndpointKey,
    /// JSON with access_token, and for its refresh refresh_token, token_url, client_id, client_secret, scope,
    /// expires_in
    OauthToken,
    /// The JSON key file of a service account of Google
    ServiceAccount,
}

impl Set {
    pub(crate) fn kind(&self) -> Kind {
        self.kind.unwrap_or(if self.base_url.is_some() { Kind::EndpointKey } else { Kind::ApiKey })
    }

    /// The body of the request that stores it.
    pub(crate) fn request(&self, text: &str) -> anyhow::Result<Value> {
        let kind = self.kind();
        let mut credential = match kind {
            Kind::ApiKey => json!({"key": text}),
            Kind::EndpointKey if text.is_empty() => json!({}),
            Kind::EndpointKey => json!({"key": text}),
            Kind::ServiceAccount => json!({"service_account": text}),
            // The parser's message may show a part of the input.
            Kind::OauthToken => serde_json::from_str(text)
                .ok()
                .filter(Value::is_object)
                .context("standard input isn't a JSON object such as {\"access_token\": \"...\"}")?,
        };
        if let Some(url) = &self.base_url {
            credential["base_url"] = json!(url);
        }
        if let Some(vendor) = &self.vendor {
            credential["vendor"] = json!(vendor);
        }
        let kind = kind.to_possible_value().map(|kind| kind.get_name().to_owned());
        Ok(json!({
            "provider": self.provider, "kind": kind, "name": self.name, "credential": credential,
        }))
    }

    /// Reads the credential.
    pub(crate) fn read(&self) -> anyhow::Result<String> {
        let provider = &self.provider;
        let mut text = String::new();
        if std::io::stdin().is_terminal() {
            let prompt = format!("The key of {provider}, then Enter (it is not shown): ");
            text = rpassword::prompt_password(prompt).context("the key can't be read")?;
        } else {
            std::io::stdin()
                .take(INPUT_MAX_BYTES)
                .read_to_string(&mut text)
                .context("the key can't be read")?;
        }
        let key = text.trim();
        anyhow::ensure!(
            !key.is_empty() || self.kind() == Kind::EndpointKey,
            "the key is empty; send it to standard input: echo $KEY | hearth key set {provider}"
        );
        Ok(key.to_owned())
    }
}
