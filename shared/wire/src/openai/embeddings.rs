//! `POST /v1/embeddings`.

use hearth_domain::{
    ClientDialect, EmbeddingInput, EmbeddingTask, Field, Generation, ModelId, Priority, Usage, WhileLoading,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::{
    ApiError, ErrorCode, RunEvent, RunEventBody, answer::ending, passed_on::unknown_fields, vector::to_base64,
};

/// A request for embeddings as OpenAI's SDKs send it. Unknown fields are passed on to a provider of this
/// dialect.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct EmbeddingRequest {
    /// A model's id, or `auto` for the default embedding model.
    #[schema(example = "auto")]
    pub model: String,
    /// A text, a list of at most 2048 texts, or the same in tokens.
    pub input: EmbeddingInputs,
    /// Give only this many of each vector's first numbers.
    pub dimensions: Option<u32>,
    /// `float` (the default) or `base64`: the numbers' bytes, 32 bits each, little-endian.
    #[schema(value_type = Option<String>, example = "float")]
    pub encoding_format: Option<EncodingFormat>,
    /// An extension: while the model is being loaded, `wait`, or let the `default` model answer.
    #[schema(value_type = Option<String>)]
    pub while_loading: Option<WhileLoading>,
    /// An extension: `low`, `normal` or `high` among the requests that wait.
    #[schema(value_type = Option<String>)]
    pub priority: Option<Priority>,
    /// What a provider of this dialect may know.
    #[serde(flatten)]
    #[schema(ignore)]
    pub extra: Map<String, Value>,
}

/// What to embed.
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
    /// A text as tokens.
    Tokens(Vec<u32>),
    /// Texts as tokens.
    TokenLists(Vec<Vec<u32>>),
}

/// How vectors are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EncodingFormat {
    /// Numbers.
    #[default]
    Float,
    /// The numbers' bytes.
    Base64,
}

impl EmbeddingInputs {
    /// How many texts there are.
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
    /// How to write the vectors.
    #[must_use]
    pub fn format(&self) -> EncodingFormat {
        self.encoding_format.unwrap_or_default()
    }

    /// The request without its dialect.
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
        let one = inputs.len() == 1;
        let task = EmbeddingTask { inputs, dimensions: self.dimensions };
        task.check().map_err(|error| {
            let param = match error.field {
                Field::Dimensions => "dimensions".to_owned(),
                Field::Input(index) if !one => format!("input[{index}]"),
                _ => "input".to_owned(),
            };
            ApiError::unfit(param, &error)
        })?;
        Ok(Generation {
            while_loading: self.while_loading.unwrap_or_default(),
            priority: self.priority.unwrap_or_default(),
            extra: unknown_fields(ClientDialect::OpenAiEmbeddings, self.extra)?,
            ..Generation::new(Some(ModelId::new(self.model)), task)
        })
    }
}

/// The vectors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EmbeddingList {
    /// Always `list`.
    #[schema(example = "list")]
    pub object: String,
    /// A vector for each input, in order.
    pub data: Vec<EmbeddingBody>,
    /// The model that made them.
    pub model: String,
    /// Tokens taken.
    pub usage: EmbeddingUsage,
}

/// A text's vector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EmbeddingBody {
    /// Always `embedding`.
    #[schema(example = "embedding")]
    pub object: String,
    /// Of which input, from 0.
    pub index: u32,
    /// The vector, of length 1.
    pub embedding: VectorBody,
}

/// A vector, as it was asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum VectorBody {
    /// Its numbers.
    Numbers(Vec<f32>),
    /// Their bytes in base64.
    Base64(String),
}

/// Tokens taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EmbeddingUsage {
    /// Tokens of all inputs.
    pub prompt_tokens: u32,
    /// The same.
    pub total_tokens: u32,
}

impl EmbeddingList {
    /// The answer, of every event of a run that embeds `count` texts.
    ///
    /// # Errors
    /// The run's own error; `provider_error` if a vector is missing.
    pub fn collected(events: &[RunEvent], count: usize, format: EncodingFormat) -> Result<Self, ApiError> {
        ending(events)?;
        let (mut data, mut model, mut usage) = (Vec::new(), String::new(), Usage::default());
        for event in events {
            match &event.body {
                RunEventBody::Selected(selected) => model.clone_from(&selected.model),
                RunEventBody::Embedding { index, vector } => data.push(body(*index, vector, format)),
                RunEventBody::Usage { usage: told } => usage = *told,
                _ => {}
            }
        }
        data.sort_by_key(|embedding| embedding.index);
        if data.len() != count || (0..).zip(&data).any(|(index, embedding)| embedding.index != index) {
            return Err(ApiError::new(ErrorCode::ProviderError, "the model left out a vector; try again"));
        }
        let usage = EmbeddingUsage { prompt_tokens: usage.prompt_tokens, total_tokens: usage.total_tokens() };
        Ok(Self { object: "list".to_owned(), data, model, usage })
    }
}

fn body(index: u32, vector: &[f32], format: EncodingFormat) -> EmbeddingBody {
    let embedding = match format {
        EncodingFormat::Float => VectorBody::Numbers(vector.to_vec()),
        EncodingFormat::Base64 => VectorBody::Base64(to_base64(vector)),
    };
    EmbeddingBody { object: "embedding".to_owned(), index, embedding }
}

#[cfg(test)]
mod tests;
