//! Models, as Ollama's clients read them: `/api/tags`, `/api/show`, `/api/ps`, and what changes them.

use std::fmt::Write as _;

use hearth_domain::{Capability, Input, Modality, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;

use super::name::tagged;
use crate::{ApiError, native::models::ModelBody};

/// The version of Ollama whose API this is. Clients compare it with the one that they need: VS Code asks for 0.6.4.
const OLLAMA_VERSION: &str = "0.12.6";
/// When a model leaves memory, to clients: not at a time that is known. When is up to its node.
const NO_EXPIRY: &str = "9999-01-01T00:00:00.000Z";

/// The version, as clients compare it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OllamaVersion {
    /// The version of Ollama whose API this is.
    #[schema(example = "0.12.6")]
    pub version: String,
    /// The gateway's own version.
    pub hearth: String,
}

impl OllamaVersion {
    /// The version of the gateway `hearth`.
    #[must_use]
    pub fn new(hearth: &str) -> Self {
        Self { version: OLLAMA_VERSION.to_owned(), hearth: hearth.to_owned() }
    }
}

/// A request that names a model. Unknown fields are ignored.
#[derive(Debug, Clone, Default, Deserialize, Serialize, ToSchema)]
pub struct OllamaModelName {
    /// A model's id, with or without the tag `latest`.
    #[schema(value_type = String, required = true, example = "tiny-chat")]
    pub model: Option<String>,
    /// The older name of `model`.
    pub name: Option<String>,
    /// Of a pull: whether to answer in lines of JSON; it does, unless this is false.
    pub stream: Option<bool>,
}

impl OllamaModelName {
    /// The name.
    ///
    /// # Errors
    /// `invalid_request` if there is none.
    pub fn into_name(self) -> Result<String, ApiError> {
        let name = self.model.filter(|name| !name.is_empty()).or(self.name);
        name.filter(|name| !name.is_empty())
            .ok_or_else(|| ApiError::invalid("model", "model is missing; send a model's name"))
    }
}

/// How far a pull is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OllamaStatus {
    /// `pulling manifest`, or at the end `success`.
    #[schema(example = "success")]
    pub status: String,
}

impl OllamaStatus {
    /// The status of this name.
    pub fn new(status: impl Into<String>) -> Self {
        Self { status: status.into() }
    }
}

/// The models.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OllamaModelList {
    /// Those that give text or vectors.
    pub models: Vec<OllamaListedModel>,
}

/// A model of the list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OllamaListedModel {
    /// Its id, with the tag `latest` if it has no provider before a colon.
    #[schema(example = "tiny-chat:latest")]
    pub name: String,
    /// The same.
    #[schema(example = "tiny-chat:latest")]
    pub model: String,
    /// When it was first known, ISO 8601; 1970 where that isn't known.
    pub modified_at: String,
    /// The file's size in bytes; 0 of a provider's model.
    pub size: u64,
    /// Names this entry, for clients that compare entries. It is no digest of the file.
    pub digest: String,
    /// More about it.
    pub details: OllamaDetails,
    /// What it can do: `completion`, `embedding`, `tools`, `vision`, `thinking`.
    pub capabilities: Vec<String>,
}

/// More about a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OllamaDetails {
    /// Always empty.
    pub parent_model: String,
    /// `gguf` of a local model; else empty.
    #[schema(example = "gguf")]
    pub format: String,
    /// The architecture of its weights; of a provider's model the provider.
    #[schema(example = "llama")]
    pub family: String,
    /// The same, as a list.
    pub families: Vec<String>,
    /// Always empty: it isn't known.
    pub parameter_size: String,
    /// How its weights are quantised; empty where that isn't known.
    #[schema(example = "Q4_K_M")]
    pub quantization_level: String,
}

/// What is known of one model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OllamaModelInfo {
    /// A line that names the model: there is no file of this kind here.
    pub modelfile: String,
    /// Always empty: a model has no options of its own.
    pub parameters: String,
    /// Always empty: only the node knows a model's chat template.
    pub template: String,
    /// More about it.
    pub details: OllamaDetails,
    /// `general.architecture`, and with the architecture before it `context_length`.
    #[schema(value_type = Object)]
    pub model_info: Map<String, Value>,
    /// What it can do: `completion`, `embedding`, `tools`, `vision`, `thinking`.
    pub capabilities: Vec<String>,
    /// When it was first known, ISO 8601; 1970 where that isn't known.
    pub modified_at: String,
}

/// The models in memory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OllamaLoadedModels {
    /// Those in memory, or on their way there.
    pub models: Vec<OllamaLoadedModel>,
}

/// A model in memory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OllamaLoadedModel {
    /// Its id, with the tag `latest`.
    pub name: String,
    /// The same.
    pub model: String,
    /// The memory that it takes, in bytes.
    pub size: u64,
    /// As in the list of models.
    pub digest: String,
    /// More about it.
    pub details: OllamaDetails,
    /// A time far away: when a model leaves is up to its node.
    pub expires_at: String,
    /// The same as `size` where a GPU computes it, else 0.
    pub size_vram: u64,
    /// The tokens that prompt and completion may have together; 0 where that isn't known.
    pub context_length: u32,
}

impl OllamaModelList {
    /// The list of those `models` that this dialect can ask.
    #[must_use]
    pub fn of(models: Vec<ModelBody>) -> Self {
        let askable = |model: &ModelBody| matches!(model.modality, Modality::Text | Modality::Embedding);
        Self { models: models.into_iter().filter(askable).map(Into::into).collect() }
    }
}

impl From<ModelBody> for OllamaListedModel {
    fn from(model: ModelBody) -> Self {
        Self {
            name: tagged(&model.id),
            model: tagged(&model.id),
            modified_at: Timestamp::from_unix(model.created).to_string(),
            size: model.size_bytes.unwrap_or_default(),
            digest: digest(&model),
            capabilities: capabilities(&model),
            details: OllamaDetails::of(&model),
        }
    }
}

impl From<ModelBody> for OllamaModelInfo {
    fn from(model: ModelBody) -> Self {
        let details = OllamaDetails::of(&model);
        let mut model_info = Map::new();
        model_info.insert("general.architecture".to_owned(), json!(details.family));
        if let Some(length) = model.context_length {
            model_info.insert(format!("{}.context_length", details.family), json!(length));
        }
        Self {
            modelfile: format!("FROM {}\n", tagged(&model.id)),
            parameters: String::new(),
            template: String::new(),
            model_info,
            capabilities: capabilities(&model),
            modified_at: Timestamp::from_unix(model.created).to_string(),
            details,
        }
    }
}

impl From<ModelBody> for OllamaLoadedModel {
    fn from(model: ModelBody) -> Self {
        let status = model.runtime_status.as_ref();
        let size = status.and_then(|status| status.memory_bytes.or(status.memory_predicted_bytes));
        let size = size.or(model.size_bytes).unwrap_or_default();
        let backends = status.and_then(|status| status.backends.as_deref()).unwrap_or_default();
        let has_gpu = backends
            .split(',')
            .any(|backend| !backend.trim().starts_with("cpu") && !backend.trim().is_empty());
        Self {
            name: tagged(&model.id),
            model: tagged(&model.id),
            size,
            digest: digest(&model),
            details: OllamaDetails::of(&model),
            expires_at: NO_EXPIRY.to_owned(),
            size_vram: if has_gpu { size } else { 0 },
            context_length: model.context_length.unwrap_or_default(),
        }
    }
}

impl OllamaDetails {
    fn of(model: &ModelBody) -> Self {
        let is_local = model.node.is_some();
        let family = model.architecture.clone().unwrap_or_else(|| model.provider.clone());
        Self {
            parent_model: String::new(),
            format: if is_local { "gguf".to_owned() } else { String::new() },
            families: vec![family.clone()],
            family,
            parameter_size: String::new(),
            quantization_level: model.version.clone().filter(|_| is_local).unwrap_or_default(),
        }
    }
}

fn capabilities(model: &ModelBody) -> Vec<String> {
    let can = |capability| model.capabilities.contains(&capability);
    let names = [
        ("completion", model.modality == Modality::Text),
        ("embedding", model.modality == Modality::Embedding),
        ("vision", can(Capability::Vision) || model.inputs.contains(&Input::Image)),
        ("tools", can(Capability::Tools)),
        ("thinking", can(Capability::Reasoning)),
    ];
    names.into_iter().filter(|(_, can)| *can).map(|(name, _)| name.to_owned()).collect()
}

/// A digest that tells the entry from others, and changes with the file's size and with what is known of the model:
/// clients keep what they know under it.
fn digest(model: &ModelBody) -> String {
    let text =
        format!("{} {} {}", model.id, model.size_bytes.unwrap_or_default(), capabilities(model).join(","));
    Sha256::digest(text).iter().fold(String::with_capacity(64), |mut hex, byte| {
        // Writing to a string never fails.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
