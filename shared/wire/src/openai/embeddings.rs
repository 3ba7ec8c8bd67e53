//! `POST /v1/embeddings`.

use hearth_domain::{ClientDialect, EmbeddingInput, EmbeddingTask, Field, Generation, ModelId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::{
    ApiError, RunEvent, base64_f32, run_options::RunOptions, unknown_fields::unknown_fields, vectors::Vectors,
};

/// A request for embeddings as OpenAI's SDKs send it. Unknown fields are passed on to a provider of this dialect.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct EmbeddingRequest {
    /// A model's id, or `auto` for the default embedding model.
    #[schema(example = "auto")]
    pub model: String,
    /// A text, a list of at most 2048 texts, or the same in token ids.
    pub input: EmbeddingInputs,
    /// Number of dimensions: vectors are shortened to it.
    #[schema(minimum = 1)]
    pub dimensions: Option<u32>,
    /// `float` (the default) or `base64`: the numbers' bytes, 32 bits each, little-endian.
    #[schema(example = "float")]
    pub encoding_format: Option<EncodingFormat>,
    /// Options of the gateway.
    #[serde(flatten)]
    pub run_options: RunOptions,
    /// Unknown fields, for a provider of this dialect.
    #[serde(flatten)]
    #[schema(ignore)]
    pub extra: Map<String, Value>,
}

/// The texts to embed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(
    untagged,
    expecting = "expected a string, a list of strings, a list of token ids, or a list of such lists"
)]
pub enum EmbeddingInputs {
    /// A text.
    Text(String),
    /// Texts.
    Texts(Vec<String>),
    /// A text in token ids.
    Tokens(Vec<u32>),
    /// Texts in token ids.
    TokenLists(Vec<Vec<u32>>),
}

/// Encoding of the vectors.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum EncodingFormat {
    /// Numbers.
    #[default]
    Float,
    /// The numbers' bytes, in base64.
    Base64,
}

impl EmbeddingInputs {
    /// Number of texts.
    #[must_use]
    pub fn count(&self) -> usize {
        match self {
            Self::Text(_) | Self::Tokens(_) => 1,
            Self::Texts(texts) => texts.len(),
            Self::TokenLists(lists) => lists.len(),
        }
    }
}

impl EmbeddingRequest {
    /// Encoding of the vectors.
    #[must_use]
    pub fn format(&self) -> EncodingFormat {
        self.encoding_format.unwrap_or_default()
    }

    /// Converts the request.
    ///
    /// # Errors
    /// `invalid_request`, naming the field.
    pub fn into_generation(self) -> Result<Generation, ApiError> {
        let inputs = match self.input {
            EmbeddingInputs::Text(text) => vec![EmbeddingInput::Text(text)],
            EmbeddingInputs::Texts(texts) => texts.into_iter().map(EmbeddingInput::Text).collect(),
            EmbeddingInputs::Tokens(tokens) => vec![EmbeddingInput::Tokens(tokens)],
            EmbeddingInputs::TokenLists(lists) => lists.into_iter().map(EmbeddingInput::Tokens).collect(),
        };
        let is_single = inputs.len() == 1;
        let task = EmbeddingTask { inputs, dimensions: self.dimensions };
        task.check().map_err(|error| {
            let param = match error.field {
                Field::Dimensions => "dimensions".to_owned(),
                Field::Input(index) if !is_single => format!("input[{index}]"),
                _ => "input".to_owned(),
            };
            ApiError::unfit(param, &error)
        })?;
        self.run_options.apply(Generation {
            extra: unknown_fields(ClientDialect::OpenAiEmbeddings, self.extra)?,
            ..Generation::new(Some(ModelId::new(self.model)), task)
        })
    }
}

/// A list of vectors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EmbeddingList {
    /// Always `list`.
    #[schema(example = "list")]
    pub object: String,
    /// A vector for each input, in order.
    pub data: Vec<EmbeddingBody>,
    /// The model that served the request.
    pub model: String,
    /// Token counts.
    pub usage: EmbeddingUsage,
}

/// A text's vector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EmbeddingBody {
    /// Always `embedding`.
    #[schema(example = "embedding")]
    pub object: String,
    /// Index of the input.
    pub index: u32,
    /// The vector, of length 1.
    pub embedding: VectorBody,
}

/// A vector, in the requested encoding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum VectorBody {
    /// The numbers.
    Numbers(Vec<f32>),
    /// The numbers' bytes, in base64.
    Base64(String),
}

/// Token counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EmbeddingUsage {
    /// Tokens of all inputs.
    pub prompt_tokens: u32,
    /// The same number.
    pub total_tokens: u32,
}

impl EmbeddingList {
    /// Renders all events of a run that embeds `count` texts.
    ///
    /// # Errors
    /// The run's own error; `provider_error` if a vector is missing.
    pub fn from_events(events: &[RunEvent], count: usize, format: EncodingFormat) -> Result<Self, ApiError> {
        let Vectors { model, vectors, usage } = Vectors::collect(events, count)?;
        let usage = EmbeddingUsage { prompt_tokens: usage.prompt_tokens, total_tokens: usage.total_tokens() };
        let data = (0..).zip(vectors).map(|(index, vector)| body(index, vector, format)).collect();
        Ok(Self { object: "list".to_owned(), data, model, usage })
    }
}

fn body(index: u32, vector: Vec<f32>, format: EncodingFormat) -> EmbeddingBody {
    let embedding = match format {
        EncodingFormat::Float => VectorBody::Numbers(vector),
        EncodingFormat::Base64 => VectorBody::Base64(base64_f32::encode(&vector)),
    };
    EmbeddingBody { object: "embedding".to_owned(), index, embedding }
}

#[cfg(test)]
mod tests;
