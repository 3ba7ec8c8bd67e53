//! `/v1beta/models` as Google's clients read it (<https://ai.google.dev/api/models>).

use hearth_domain::{Capability, Modality};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::native::models::{ModelBody, ModelQuery};

/// What each name begins with.
const FOLDER: &str = "models/";
/// The most models of a page; a larger one is asked for as this.
const PAGE_MAX_COUNT: u32 = 200;

/// A model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct GeminiModel {
    /// `models/` and what to write in a path.
    #[schema(example = "models/tiny-chat")]
    pub name: String,
    /// The model's id.
    pub base_model_id: String,
    /// Its version.
    pub version: String,
    /// A name to show, which no other model of the list has.
    pub display_name: String,
    /// Who serves it.
    pub description: String,
    /// The tokens that prompt and answer may have together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_token_limit: Option<u32>,
    /// The tokens that an answer may have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_token_limit: Option<u32>,
    /// What it can be asked for, such as `generateContent`.
    pub supported_generation_methods: Vec<String>,
    /// Whether it thinks.
    #[serde(default)]
    pub thinking: bool,
}

/// A page of models.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct GeminiModelList {
    /// The models, nodes' before providers', each by id.
    pub models: Vec<GeminiModel>,
    /// Asks for the next page, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}

/// Which page.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub struct GeminiModelQuery {
    /// The most models of the page, 50 if absent; 200 are the most.
    #[serde(alias = "page_size")]
    pub page_size: Option<u32>,
    /// The `nextPageToken` of the page before.
    #[serde(alias = "page_token")]
    pub page_token: Option<String>,
}

impl From<GeminiModelQuery> for ModelQuery {
    fn from(query: GeminiModelQuery) -> Self {
        Self {
            // Google takes 0 for the usual size.
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
            name: format!("{FOLDER}{}", model.id),
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
