//! Models in Ollama's format: `/api/tags`, `/api/show`, `/api/ps`, and the requests that change them.

use hearth_domain::{Capability, Input, Modality, Timestamp, hex};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;

use super::name::tagged;
use crate::{ApiError, native::models::ModelBody};

/// Version of Ollama whose API this is. Clients compare it with their requirement: VS Code needs 0.6.4.
const OLLAMA_VERSION: &str = "0.12.6";
/// Time when a model is unloaded, for clients. It is not known: the node decides.
const NO_EXPIRY: &str = "9999-01-01T00:00:00.000Z";

/// Versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OllamaVersion {
    /// Version of Ollama whose API this is.
    #[schema(example = "0.12.6")]
    pub version: String,
    /// Version of the gateway.
    pub hearth: String,
}

impl OllamaVersion {
    /// Creates the body with the gateway's version.
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
    /// Older name of `model`.
    pub name: Option<String>,
    /// Of a pull: true (the default) to stream the progress as lines of JSON.
    pub stream: Option<bool>,
}

impl OllamaModelName {
    /// Returns the name.
    ///
    /// # Errors
    /// `invalid_request` if there is none.
    pub fn into_name(self) -> Result<String, ApiError> {
        let name = self.model.filter(|name| !name.is_empty()).or(self.name);
        name.filter(|name| !name.is_empty())
            .ok_or_else(|| ApiError::invalid("model", "model is missing; send a model's name"))
    }
}

/// Progress of a pull.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OllamaStatus {
    /// `pulling manifest`, `pulling` with the first digits of the digest, or at the end `success`.
    #[schema(example = "success")]
    pub status: String,
    /// Digest of the file that is downloaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Size of all files in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// Bytes so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed: Option<u64>,
}

impl OllamaStatus {
    /// Creates the body of a status.
    pub fn new(status: impl Into<String>) -> Self {
        Self { status: status.into(), digest: None, total: None, completed: None }
    }

    /// Creates the body of a download's progress.
    #[must_use]
    pub fn progress(sha256: Option<&str>, file: Option<&str>, total: Option<u64>, completed: u64) -> Self {
        let name = sha256.map(|hex| hex.get(..12).unwrap_or(hex)).or(file).unwrap_or("the model");
        Self {
            status: format!("pulling {name}"),
            digest: sha256.map(|hex| format!("sha256:{hex}")),
            total,
            completed: Some(completed),
        }
    }
}

/// A list of models.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OllamaModelList {
    /// Text and embedding models.
    pub models: Vec<OllamaListedModel>,
}

/// A model of the list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OllamaListedModel {
    /// The id, with the tag `latest` unless a provider's name precedes it.
    #[schema(example = "tiny-chat:latest")]
    pub name: String,
    /// The same name.
    #[schema(example = "tiny-chat:latest")]
    pub model: String,
    /// Creation time, ISO 8601; 1970 if unknown.
    pub modified_at: String,
    /// Size of the file in bytes; 0 for a provider's model.
    pub size: u64,
    /// Digest of this entry, for clients that compare entries. It is not a digest of the file.
    pub digest: String,
    /// Details.
    pub details: OllamaDetails,
    /// Capabilities: `completion`, `embedding`, `tools`, `vision`, `thinking`.
    pub capabilities: Vec<String>,
}

/// Details of a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OllamaDetails {
    /// Always empty.
    pub parent_model: String,
    /// `gguf` for a local model, else empty.
    #[schema(example = "gguf")]
    pub format: String,
    /// Architecture of a local model; the provider of a provider's model.
    #[schema(example = "llama")]
    pub family: String,
    /// The same, as a list.
    pub families: Vec<String>,
    /// Always empty.
    pub parameter_size: String,
    /// Quantisation of the weights; empty if unknown.
    #[schema(example = "Q4_K_M")]
    pub quantization_level: String,
}

/// Information about one model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OllamaModelInfo {
    /// A line with the model's name.
    pub modelfile: String,
    /// Always empty: a model has no options of its own.
    pub parameters: String,
    /// Always empty: only the node knows a model's chat template.
    pub template: String,
    /// Details.
    pub details: OllamaDetails,
    /// `general.architecture`, and `ARCHITECTURE.context_length`.
    #[schema(value_type = Object)]
    pub model_info: Map<String, Value>,
    /// Capabilities: `completion`, `embedding`, `tools`, `vision`, `thinking`.
    pub capabilities: Vec<String>,
    /// Creation time, ISO 8601; 1970 if unknown.
    pub modified_at: String,
}

/// The models in memory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OllamaLoadedModels {
    /// Models in memory or being loaded.
    pub models: Vec<OllamaLoadedModel>,
}

/// A model in memory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OllamaLoadedModel {
    /// The id, with the tag `latest`.
    pub name: String,
    /// The same name.
    pub model: String,
    /// Memory use in bytes.
    pub size: u64,
    /// As in the list of models.
    pub digest: String,
    /// Details.
    pub details: OllamaDetails,
    /// A time far in the future: the node decides when to unload a model.
    pub expires_at: String,
    /// The same as `size` if a GPU is used, else 0.
    pub size_vram: u64,
    /// Largest number of tokens of prompt and answer together; 0 if unknown.
    pub context_length: u32,
}

impl OllamaModelList {
    /// Creates the list of the text and embedding models.
    #[must_use]
    pub fn of(models: Vec<ModelBody>) -> Self {
        let is_listed = |model: &ModelBody| matches!(model.modality, Modality::Text | Modality::Embedding);
        Self { models: models.into_iter().filter(is_listed).map(Into::into).collect() }
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

/// Returns a digest of the entry. It changes with the file's size and the capabilities, since clients cache information
/// about a model by its digest.
fn digest(model: &ModelBody) -> String {
    let text =
        format!("{} {} {}", model.id, model.size_bytes.unwrap_or_default(), capabilities(model).join(","));
    hex(Sha256::digest(text))
}
