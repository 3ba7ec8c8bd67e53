//! Settings of a provider.

use hearth_domain::Secret;
use serde::{Deserialize, Serialize};

use crate::shown;

/// An API that a vendor has beside its usual one, for text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Api {
    /// OpenAI's responses.
    Responses,
}

/// Where the credentials of a provider in AWS come from, in place of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialSource {
    /// The process: the role of a Lambda function.
    Process,
}

/// A table `providers.NAME` of the settings. The crate `hearth-providers` checks it, since it knows the vendors.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProviderSettings {
    /// The vendor whose API it has; absent: the vendor of the provider's own name.
    pub kind: Option<String>,
    /// The vendor's API to use; absent: the usual one.
    pub api: Option<Api>,
    /// The address; absent: the vendor's.
    pub base_url: Option<String>,
    /// The region in which it processes requests, for organisations that are bound to regions.
    pub region: Option<String>,
    /// The API key.
    #[serde(serialize_with = "shown::hidden")]
    pub api_key: Option<Secret>,
    /// The source of credentials in place of a key; Amazon Bedrock alone.
    pub credentials: Option<CredentialSource>,
    /// Models that belong to this provider when a request names them without a provider.
    pub models: Vec<String>,
    /// Seconds until an answer must begin; an image or a mesh comes whole, and must be complete.
    pub first_byte_seconds: Option<u64>,
    /// Seconds that an answer may be silent.
    pub between_bytes_seconds: Option<u64>,
    /// Seconds that an answer may take.
    pub whole_seconds: Option<u64>,
    /// The temperature of texts whose requests set none, 0 to 2.
    pub temperature: Option<f32>,
    /// The length in tokens of texts whose requests set none, at least 1.
    pub max_tokens: Option<u32>,
    /// Instructions for conversations that have none.
    pub system_prompt: Option<String>,
}
