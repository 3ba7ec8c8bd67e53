//! Answers of the hub's API, read leniently: a field of another type counts as missing.

use hearth_domain::Modality;
use hearth_wire::native::hub::ModelCard;
use serde::Deserialize;
use serde_json::{Map, Value};

/// Tags of a card.
const TAGS_MAX_COUNT: usize = 100;
/// Fields of `generation_config.json` that are parameters of a request, and their names there.
const RECOMMENDED: [(&str, &str); 6] = [
    ("temperature", "temperature"),
    ("top_p", "top_p"),
    ("top_k", "top_k"),
    ("min_p", "min_p"),
    ("repetition_penalty", "repeat_penalty"),
    ("max_new_tokens", "max_tokens"),
];

/// A repository, in a list or alone.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct RepositoryInfo {
    pub(super) id: String,
    pub(super) tags: Vec<String>,
    #[serde(rename = "pipeline_tag")]
    pub(super) pipeline_tag: Option<String>,
    pub(super) likes: u64,
    pub(super) downloads: u64,
    pub(super) last_modified: Option<String>,
    /// False, or the kind of the approval.
    pub(super) gated: Value,
    pub(super) siblings: Vec<Sibling>,
    pub(super) gguf: Value,
    pub(super) card_data: Value,
    pub(super) safetensors: Value,
}

/// A file of a repository.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Sibling {
    pub(super) rfilename: String,
    pub(super) size: Option<u64>,
    pub(super) lfs: Option<LargeFile>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct LargeFile {
    pub(super) size: u64,
}

impl RepositoryInfo {
    pub(super) fn is_gated(&self) -> bool {
        !matches!(self.gated, Value::Null | Value::Bool(false))
    }

    pub(super) fn license(&self) -> Option<String> {
        let by_card = self.card_data.get("license").and_then(Value::as_str);
        let by_tag = self.tags.iter().find_map(|tag| tag.strip_prefix("license:"));
        by_card.or(by_tag).map(str::to_owned)
    }

    pub(super) fn parameters(&self) -> Option<u64> {
        let total = |value: &Value| value.get("total").and_then(Value::as_u64);
        total(&self.gguf).or_else(|| total(&self.safetensors))
    }

    pub(super) fn context_length(&self) -> Option<u64> {
        self.gguf.get("context_length").and_then(Value::as_u64)
    }

    pub(super) fn architecture(&self) -> Option<String> {
        self.gguf.get("architecture").and_then(Value::as_str).map(str::to_owned)
    }

    /// The modality, by the task, else by the tags.
    pub(super) fn modality(&self) -> Option<Modality> {
        let tasks = self.pipeline_tag.iter().chain(&self.tags);
        tasks.into_iter().find_map(|task| modality_of_task(task))
    }

    fn base_models(&self) -> Vec<String> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        match self.card_data.get("base_model") {
            Some(Value::Array(models)) => models.iter().filter_map(text).collect(),
            Some(model) => text(model).into_iter().collect(),
            None => Vec::new(),
        }
    }
}

/// The modality that a task of the hub makes.
fn modality_of_task(task: &str) -> Option<Modality> {
    match task {
        "text-generation" | "text2text-generation" | "image-text-to-text" | "conversational" => {
            Some(Modality::Text)
        }
        "text-to-image" | "image-to-image" => Some(Modality::Image),
        "text-to-3d" | "image-to-3d" => Some(Modality::ThreeD),
        "feature-extraction" | "sentence-similarity" | "text-embeddings-inference" => {
            Some(Modality::Embedding)
        }
        _ => None,
    }
}

/// The task by which the hub is searched for a modality.
pub(super) fn task_of(modality: Modality) -> Option<&'static str> {
    match modality {
        Modality::Text => Some("text-generation"),
        Modality::Image => Some("text-to-image"),
        Modality::ThreeD => Some("image-to-3d"),
        Modality::Embedding => Some("feature-extraction"),
    }
}

/// The card of a repository.
pub(super) fn card_of(
    repository: &str,
    mut info: RepositoryInfo,
    text: Option<String>,
    generation_config: Option<&[u8]>,
) -> ModelCard {
    info.tags.truncate(TAGS_MAX_COUNT);
    let config: Map<String, Value> =
        generation_config.and_then(|bytes| serde_json::from_slice(bytes).ok()).unwrap_or_default();
    let recommended = RECOMMENDED.iter().filter_map(|(name, parameter)| {
        let value = config.get(*name).filter(|value| value.is_number())?;
        Some(((*parameter).to_owned(), value.clone()))
    });
    ModelCard {
        repository: repository.to_owned(),
        license: info.license(),
        task: info.pipeline_tag.clone(),
        parameters: info.parameters(),
        context_length: info.context_length(),
        architecture: info.architecture(),
        base_models: info.base_models(),
        recommended_parameters: recommended.collect(),
        tags: info.tags,
        text,
    }
}

/// The text of a card without the metadata at its beginning, cut to a number of bytes.
pub(super) fn text_without_metadata(bytes: &[u8], max_bytes: usize) -> String {
    let text = String::from_utf8_lossy(bytes);
    let body = match text.strip_prefix("---\n").and_then(|rest| rest.split_once("\n---")) {
        Some((_, body)) => body.split_once('\n').map_or("", |(_, body)| body),
        None => &text,
    };
    let end = body.floor_char_boundary(max_bytes.min(body.len()));
    body[..end].trim_start().to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn card_has_the_metadata_and_the_text() {
        let info: RepositoryInfo = serde_json::from_value(json!({
            "id": "Qwen/Qwen3-0.6B-GGUF", "tags": ["gguf", "license:apache-2.0", "conversational"],
            "pipeline_tag": "text-generation", "gated": "auto", "likes": 7,
            "cardData": {"base_model": ["Qwen/Qwen3-0.6B"]},
            "gguf": {"total": 751_632_384, "architecture": "qwen3", "context_length": 40_960}
        }))
        .unwrap();
        assert!(info.is_gated());
        let text = text_without_metadata(b"---\nlicense: apache-2.0\n---\n\n# Qwen3\n\nHello", 100);
        let config = br#"{"temperature": 0.6, "top_k": 20, "eos_token_id": [1]}"#;
        let card = card_of("Qwen/Qwen3-0.6B-GGUF", info, Some(text), Some(config));
        assert_eq!(card.license.as_deref(), Some("apache-2.0"));
        assert_eq!((card.parameters, card.context_length), (Some(751_632_384), Some(40_960)));
        assert_eq!(card.base_models, ["Qwen/Qwen3-0.6B"]);
        assert_eq!(card.text.as_deref(), Some("# Qwen3\n\nHello"));
        assert_eq!(Value::from(card.recommended_parameters), json!({"temperature": 0.6, "top_k": 20}));
    }

    #[test]
    fn text_is_cut_between_characters() {
        assert_eq!(text_without_metadata("aé".as_bytes(), 2), "a");
        assert_eq!(text_without_metadata(b"", 2), "");
    }
}
