//! The header of a GGUF file.

use std::{collections::HashMap, path::Path};

use hearth_worker::gguf::{GgufError, GgufHeader, Value};

/// Architectures that compute embeddings only, whatever their header says.
const ENCODERS: [&str; 11] = [
    "bert",
    "eurobert",
    "gemma-embedding",
    "jina-bert-v2",
    "jina-bert-v3",
    "llama-embed",
    "modern-bert",
    "neo-bert",
    "nomic-bert",
    "nomic-bert-moe",
    "t5encoder",
];

/// Values of `<architecture>.pooling_type`, as in `llama.h`. 1 to 3 pool the tokens' vectors by their mean, the first or the
/// last; 4 computes a score for a pair of texts.
const POOLING_NONE: u64 = 0;
const POOLING_RANK: u64 = 4;

/// The metadata of a model file, and the sizes of its tensors.
#[derive(Debug, Clone)]
pub struct Header {
    metadata: HashMap<String, Value>,
    /// Number of weights of each type.
    weights: HashMap<&'static str, u64>,
    tensor_bytes: u64,
    file_size: u64,
}

impl Header {
    /// Reads and checks the header of the file at `path`.
    ///
    /// # Errors
    /// If it can't be read, isn't GGUF, is truncated, or contradicts itself.
    pub fn read(path: &Path) -> Result<Self, GgufError> {
        let GgufHeader { metadata, tensors, tensor_bytes, file_size } = GgufHeader::read(path)?;
        let mut weights: HashMap<&'static str, u64> = HashMap::new();
        for tensor in tensors.values() {
            if let Some(kind) = tensor.type_name() {
                let sum = weights.entry(kind).or_default();
                *sum = sum.saturating_add(tensor.weights);
            }
        }
        Ok(Self { metadata, weights, tensor_bytes, file_size })
    }

    /// Adds the tensors and the size of another part of the model.
    pub fn add_part(&mut self, part: &Self) {
        for (kind, weights) in &part.weights {
            let sum = self.weights.entry(kind).or_default();
            *sum = sum.saturating_add(*weights);
        }
        self.tensor_bytes = self.tensor_bytes.saturating_add(part.tensor_bytes);
        self.file_size = self.file_size.saturating_add(part.file_size);
    }

    /// The architecture, such as `llama`.
    #[must_use]
    pub fn architecture(&self) -> Option<&str> {
        self.text("general.architecture")
    }

    /// The model's name.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.text("general.name")
    }

    /// The type of most of its weights, such as `Q4_K`.
    #[must_use]
    pub fn quantisation(&self) -> Option<&'static str> {
        self.weights.iter().max_by_key(|(_, weights)| **weights).map(|(kind, _)| *kind)
    }

    /// Number of weights; with [`Self::add_part`], of all parts.
    #[must_use]
    pub fn parameters(&self) -> u64 {
        self.weights.values().fold(0, |sum, weights| sum.saturating_add(*weights))
    }

    /// The web page of the model, or of its base model.
    #[must_use]
    pub fn source_url(&self) -> Option<&str> {
        const KEYS: [&str; 5] = [
            "general.repo_url",
            "general.source.repo_url",
            "general.source.url",
            "general.url",
            "general.base_model.0.repo_url",
        ];
        KEYS.iter().find_map(|key| self.text(key)).filter(|url| !url.is_empty())
    }

    /// The licence that the file states, such as `apache-2.0`.
    #[must_use]
    pub fn license(&self) -> Option<&str> {
        self.text("general.license").filter(|license| !license.is_empty())
    }

    /// The context that the model was trained for, in tokens.
    #[must_use]
    pub fn context_length(&self) -> Option<u32> {
        self.of_architecture("context_length").and_then(|n| u32::try_from(n).ok())
    }

    /// The kind of its tokenizer, such as `gpt2` for byte pairs, `llama` for SentencePiece, `bert` for WordPiece.
    #[must_use]
    pub fn tokenizer(&self) -> Option<&str> {
        self.text("tokenizer.ggml.model")
    }

    /// The model's chat template, in Jinja.
    #[must_use]
    pub fn chat_template(&self) -> Option<&str> {
        self.text("tokenizer.chat_template")
    }

    /// Returns whether the model computes embeddings rather than text.
    #[must_use]
    pub fn is_embedding(&self) -> bool {
        self.is_encoder() || self.of_architecture("pooling_type").is_some_and(|kind| kind != POOLING_NONE)
    }

    /// The reason why a valid file isn't a model for text or embeddings, if it isn't.
    #[must_use]
    pub fn unusable(&self) -> Option<String> {
        let kind = match (self.text("general.type"), self.architecture()) {
            (Some("adapter"), _) => "an adapter for a model",
            (Some("mmproj"), _) | (_, Some("clip")) => {
                "a projector, the part of a model that sees images or hears sound"
            }
            (Some("imatrix"), _) => "a list of weights for quantising",
            _ if self.of_architecture("pooling_type") == Some(POOLING_RANK) => {
                "a reranker, which scores pairs of texts"
            }
            _ => return None,
        };
        Some(format!("it is {kind}, and computes neither text nor embeddings by itself"))
    }

    /// Number of files of the model, if the header has it.
    #[must_use]
    pub fn split_count(&self) -> Option<u32> {
        self.number("split.count").and_then(|n| u32::try_from(n).ok())
    }

    /// The file's size in bytes; with [`Self::add_part`], of all parts.
    #[must_use]
    pub fn file_size(&self) -> u64 {
        self.file_size
    }

    /// The bytes of its tensors.
    #[must_use]
    pub fn tensor_bytes(&self) -> u64 {
        self.tensor_bytes
    }

    pub(super) fn is_encoder(&self) -> bool {
        self.architecture().is_some_and(|architecture| ENCODERS.contains(&architecture))
    }

    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        self.metadata.get(key)
    }

    /// The value of `<architecture>.<name>`.
    pub(super) fn get_of_architecture(&self, name: &str) -> Option<&Value> {
        self.get(&format!("{}.{name}", self.architecture()?))
    }

    fn number(&self, key: &str) -> Option<u64> {
        self.get(key)?.number()
    }

    fn of_architecture(&self, name: &str) -> Option<u64> {
        self.get_of_architecture(name)?.number()
    }

    fn text(&self, key: &str) -> Option<&str> {
        match self.get(key) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }
}
