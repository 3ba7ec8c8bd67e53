//! `GET /v1beta/models` in Google's format (<https://ai.google.dev/api/models>).

use hearth_domain::{Capability, Modality};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::native::models::{ModelBody, ModelQuery};

/// Prefix of every name.
const NAME_PREFIX: &str = "models/";
/// Largest number of models in a page; a larger page size is reduced to it.
const PAGE_MAX_COUNT: u32 = 200;

/// A model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct GeminiModel {
    /// `models/` and the id, as in a path.
    #[schema(example = "models/tiny-chat")]
    pub name: String,
    /// The model's id.
    pub base_model_id: String,
    /// The version.
    pub version: String,
    /// Display name, unique in the list.
    pub display_name: String,
    /// The provider that serves it.
    pub description: String,
    /// Context length: largest number of tokens of prompt and answer together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_token_limit: Option<u32>,
    /// Largest number of tokens of an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_token_limit: Option<u32>,
    /// Supported methods, such as `generateContent`.
    pub supported_generation_methods: Vec<String>,
    /// True for a reasoning model.
    #[serde(default)]
    pub thinking: bool,
}

/// A page of models.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct GeminiModelList {
    /// The models: those of nodes before those of providers, sorted by id.
    pub models: Vec<GeminiModel>,
    /// Token of the next page, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}

/// Pagination.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub struct GeminiModelQuery {
    /// Largest number of models in the page, 50 by default and 200 at most.
    #[serde(alias = "page_size")]
    pub page_size: Option<u32>,
    /// The `nextPageToken` of the previous page.
    #[serde(alias = "page_token")]
    pub page_token: Option<String>,
}

impl From<GeminiModelQuery> for ModelQuery {
    fn from(query: GeminiModelQuery) -> Self {
        Self {
            // In Google's API 0 means the default size.
            limit: query.page_size.filter(|size| *size > 0).map(|size| size.min(PAGE_MAX_COUNT)),
            cursor: query.page_token.filter(|token| !token.is_empty()),
            ..Self::default()
        }
    }
}

impl From<ModelBody> for GeminiModel {
    fn from(model: ModelBody) -> Self {
        let methods: &[&str] = match model.modality {
            Modality::Text => &["generateContent", "streamGenerateContent", "countTokens"],
            Modality::Embedding => &["embedContent", "batchEmbedContents"],
            _ => &[],
        };
        Self {
            name: format!("{NAME_PREFIX}{}", model.id),
            base_model_id: model.id,
            version: model.version.unwrap_or_default(),
            display_name: model.name,
            description: format!("served by {}", model.provider),
            input_token_limit: model.context_length,
            output_token_limit: model.max_output_tokens.or(model.context_length),
            supported_generation_methods: methods.iter().map(|&method| method.to_owned()).collect(),
            thinking: model.capabilities.contains(&Capability::Reasoning),
        }
    }
}
