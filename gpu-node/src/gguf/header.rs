//! The header of a GGUF file.

use std::{collections::HashMap, fs::File, io::BufReader, path::Path};

use super::{
    error::GgufError,
    reader::{Reader, Value},
    tensor,
};

/// Maximum number of tensors. No model has more.
const TENSORS_MAX_COUNT: u64 = 1 << 20;
/// Maximum number of metadata entries. Most models have less than a hundred.
const ENTRIES_MAX_COUNT: u64 = 1 << 14;
/// Maximum number of dimensions of a tensor: ggml's limit.
const DIMENSIONS_MAX_COUNT: u32 = 4;

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
        let file = File::open(path)?;
        let file_size = file.metadata()?.len();
        let mut reader = Reader::new(BufReader::with_capacity(1 << 16, file), file_size);
        let magic = reader.bytes::<4>()?;
        if &magic != b"GGUF" {
            return Err(GgufError::NotGguf);
        }
        let version = reader.u32()?;
        if !(2..=3).contains(&version) {
            return Err(GgufError::Version(version));
        }
        let (tensors, entries) = (reader.u64()?, reader.u64()?);
        if tensors > TENSORS_MAX_COUNT || entries > ENTRIES_MAX_COUNT {
            return Err(GgufError::Corrupt(format!("{tensors} tensors and {entries} metadata entries")));
        }
        let mut metadata = HashMap::new();
        for _ in 0..entries {
            let key = reader.text()?;
            let kind = reader.u32()?;
            let value = reader.value_of(&key, kind)?;
            metadata.insert(key, value);
        }
        let extents = Extents::read(&mut reader, tensors)?;
        let mut header = Self { metadata, weights: extents.weights, tensor_bytes: 0, file_size };
        header.check_size(reader.position, extents.end)?;
        Ok(header)
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

    /// Checks that the file contains every tensor of the header.
    fn check_size(&mut self, header_end: u64, tensors_end: u64) -> Result<(), GgufError> {
        let alignment = match self.metadata.get("general.alignment") {
            Some(Value::Unsigned(n)) if n.is_power_of_two() => *n,
            Some(_) => return Err(GgufError::Corrupt("an alignment that is no power of two".to_owned())),
            None => 32,
        };
        let start = header_end.checked_next_multiple_of(alignment).unwrap_or(u64::MAX);
        let needed = start.saturating_add(tensors_end);
        // A file without tensors, as the first part of a split model may be, needs no padding.
        if self.file_size < if tensors_end == 0 { header_end } else { needed } {
            return Err(GgufError::Truncated { actual: self.file_size, needed });
        }
        self.tensor_bytes = self.file_size.saturating_sub(start);
        Ok(())
    }
}

/// The end of the tensors, and their types.
struct Extents {
    /// The end of the last tensor, relative to the start of the first.
    end: u64,
    weights: HashMap<&'static str, u64>,
}

impl Extents {
    fn read(reader: &mut Reader<impl std::io::Read>, tensors: u64) -> Result<Self, GgufError> {
        let mut extents = Self { end: 0, weights: HashMap::new() };
        for _ in 0..tensors {
            extents.add(reader)?;
        }
        Ok(extents)
    }

    fn add(&mut self, reader: &mut Reader<impl std::io::Read>) -> Result<(), GgufError> {
        let name = reader.text()?;
        let dimensions = reader.u32()?;
        if dimensions > DIMENSIONS_MAX_COUNT {
            return Err(GgufError::Corrupt(format!("tensor {name:?} has {dimensions} dimensions")));
        }
        let mut weights: u64 = 1;
        for _ in 0..dimensions {
            weights = weights
                .checked_mul(reader.u64()?)
                .ok_or_else(|| GgufError::Corrupt(format!("tensor {name:?} is larger than any file")))?;
        }
        let (kind, offset) = (reader.u32()?, reader.u64()?);
        let size = tensor::bytes(kind, weights).unwrap_or(0);
        let end = offset
            .checked_add(size)
            .ok_or_else(|| GgufError::Corrupt(format!("tensor {name:?} ends outside of any file")))?;
        self.end = self.end.max(end);
        if let Some((kind, ..)) = tensor::block(kind) {
            let sum = self.weights.entry(kind).or_default();
            *sum = sum.saturating_add(weights);
        }
        Ok(())
    }
}
