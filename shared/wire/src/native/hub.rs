//! Bodies of `/v1/models/search`, and the cards of models.

use hearth_domain::Modality;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Query of `GET /v1/models/search`.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct HubQuery {
    /// Words of the name.
    pub query: Option<String>,
    /// Hub: `huggingface`, which is also the default.
    #[param(inline)]
    pub source: Option<HubSource>,
    /// Modality of the models: `text`, `image`, `3d` or `embedding`.
    #[param(inline)]
    pub modality: Option<Modality>,
    /// Owner of the repositories.
    pub author: Option<String>,
    /// Order: `downloads` (the default), `likes` or `updated`.
    #[param(inline)]
    pub sort: Option<HubSort>,
    /// True for repositories without GGUF files too.
    pub all: Option<bool>,
    /// Maximum number of models, 1 to 50; absent: 10.
    #[param(minimum = 1, maximum = 50)]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
}

/// Hub that is searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HubSource {
    /// Hugging Face, or the mirror of the settings.
    Huggingface,
}

/// Order of the models of a search.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HubSort {
    /// Most downloads first.
    #[default]
    Downloads,
    /// Most likes first.
    Likes,
    /// Latest change first.
    Updated,
}

/// Page of a search.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct HubSearch {
    /// Models.
    pub models: Vec<HubModel>,
    /// Memory for models of the largest node that the caller may download to; null without one.
    pub memory_bytes: Option<u64>,
    /// `cursor` of the next page; null on the last page.
    pub next_cursor: Option<String>,
}

/// Repository of a hub.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HubModel {
    /// Id: owner and name.
    #[schema(example = "Qwen/Qwen3-0.6B-GGUF")]
    pub id: String,
    /// Name without the owner.
    pub name: String,
    /// Owner.
    pub author: String,
    /// Tags.
    pub tags: Vec<String>,
    /// Task by the hub's name, such as `text-generation`.
    pub task: Option<String>,
    /// Modality, derived from task and tags; null if neither says it.
    #[schema(inline)]
    pub modality: Option<Modality>,
    /// Licence.
    pub license: Option<String>,
    /// True if its terms must be accepted, so that a download needs a token.
    pub gated: bool,
    /// Downloads of the last 30 days.
    pub downloads: u64,
    /// Likes.
    pub likes: u64,
    /// Latest change, ISO 8601.
    pub updated_at: Option<String>,
    /// Number of parameters.
    pub parameters: Option<u64>,
    /// Tokens that the model was trained for.
    pub context_length: Option<u64>,
    /// Architecture.
    pub architecture: Option<String>,
    /// `source` of a download with the usual file.
    #[schema(example = "hf:Qwen/Qwen3-0.6B-GGUF")]
    pub source: String,
    /// GGUF files; the parts of a split model are one.
    pub files: Vec<HubModelFile>,
}

/// GGUF file of a repository.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HubModelFile {
    /// Path in the repository; of a split model, of the first part.
    pub name: String,
    /// Size in bytes, of all parts; null if the hub doesn't list it.
    pub size_bytes: Option<u64>,
    /// Number of parts.
    pub parts: u32,
    /// Quantisation, such as `Q4_K_M`.
    pub quantisation: Option<String>,
    /// Comparison with the node's memory; null without a size or a node.
    #[schema(inline)]
    pub fit: Option<MemoryFit>,
    /// `source` of a download of this file.
    pub source: String,
}

/// Comparison of a model's size with the memory of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MemoryFit {
    /// It fits with room for the context.
    Fits,
    /// It fits with a short context.
    Tight,
    /// It is larger than the memory.
    TooLarge,
}

/// Card of a model: its description at Hugging Face.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ModelCard {
    /// Repository.
    pub repository: String,
    /// Licence.
    pub license: Option<String>,
    /// Tags.
    pub tags: Vec<String>,
    /// Task by the hub's name.
    pub task: Option<String>,
    /// Number of parameters.
    pub parameters: Option<u64>,
    /// Tokens that the model was trained for.
    pub context_length: Option<u64>,
    /// Architecture.
    pub architecture: Option<String>,
    /// Models that it was made from.
    pub base_models: Vec<String>,
    /// Sampling parameters that the repository recommends, as in its `generation_config.json` or `params`.
    #[schema(value_type = Object)]
    pub recommended_parameters: serde_json::Map<String, serde_json::Value>,
    /// Text of the card in Markdown, without its metadata; at most 64 KiB.
    pub text: Option<String>,
}
