//! `:embedContent` and `:batchEmbedContents` (<https://ai.google.dev/api/embeddings>).

use hearth_domain::{
    ClientDialect, EmbeddingInput, EmbeddingTask, Field, Generation, ModelId, Priority, WhileLoading,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::{
    GeminiContent,
    proto_json::{one_or_many, whole},
};
use crate::{ApiError, ErrorCode, RunEvent, RunEventBody, answer::ending, passed_on::unknown_fields};

/// A text to embed, as Google's SDKs send it.
#[derive(Debug, Clone, Default, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct EmbedContentRequest {
    /// The text, in one part or in several.
    #[schema(required = true)]
    pub content: GeminiContent,
    /// What the vector is for; a provider of this dialect makes another one for each purpose.
    #[serde(alias = "task_type")]
    #[schema(example = "RETRIEVAL_DOCUMENT")]
    pub task_type: Option<String>,
    /// The document's title; for a provider of this dialect.
    pub title: Option<String>,
    /// Give only this many of the vector's first numbers.
    #[serde(alias = "output_dimensionality", deserialize_with = "whole")]
    pub output_dimensionality: Option<i64>,
    /// An extension: while the model is being loaded, `wait`, or let the `default` model answer.
    #[serde(rename = "while_loading", alias = "whileLoading")]
    #[schema(value_type = Option<String>)]
    pub while_loading: Option<WhileLoading>,
    /// An extension: `low`, `normal` or `high` among the requests that wait.
    #[schema(value_type = Option<String>)]
    pub priority: Option<Priority>,
}

/// Several texts to embed.
#[derive(Debug, Clone, Default, Deserialize, Serialize, ToSchema)]
#[serde(default)]
pub struct BatchEmbedContentsRequest {
    /// The texts, at most 2048. What else the requests say must be the same in each.
    #[serde(deserialize_with = "one_or_many")]
    #[schema(required = true)]
    pub requests: Vec<EmbedContentRequest>,
}

/// A text's vector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EmbedContentAnswer {
    /// The vector.
    pub embedding: GeminiVector,
}

/// The vectors, in the order of the requests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BatchEmbedContentsAnswer {
    /// The vectors.
    pub embeddings: Vec<GeminiVector>,
}

/// A vector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GeminiVector {
    /// Its numbers.
    pub values: Vec<f32>,
}

impl EmbedContentRequest {
    /// The request to `model` without its dialect.
    ///
    /// # Errors
    /// `invalid_request`, naming the field.
    pub fn into_generation(self, model: String) -> Result<Generation, ApiError> {
        BatchEmbedContentsRequest { requests: vec![self] }.generation(model, false)
    }

    /// The text; other parts can't be embedded here.
    fn text(&self, at: &str) -> Result<String, ApiError> {
        let mut texts = Vec::with_capacity(self.content.parts.len());
        for (index, part) in self.content.parts.iter().enumerate() {
            let text = part.text.as_deref().ok_or_else(|| {
                let param = format!("{at}content.parts[{index}]");
                ApiError::invalid(&param, format!("{param} must be a text: nothing else is embedded here"))
            })?;
            texts.push(text);
        }
        Ok(texts.join("\n"))
    }

    /// What a provider of this dialect is given as it is.
    fn purpose(&self) -> Map<String, Value> {
        let fields = [("taskType", &self.task_type), ("title", &self.title)];
        let said =
            fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), json!(value.as_ref()?))));
        said.collect()
    }
}

impl BatchEmbedContentsRequest {
    /// The request to `model` without its dialect.
    ///
    /// # Errors
    /// `invalid_request`, naming the field.
    pub fn into_generation(self, model: String) -> Result<Generation, ApiError> {
        self.generation(model, true)
    }

    fn generation(self, model: String, is_batch: bool) -> Result<Generation, ApiError> {
        let place = |index: usize| if is_batch { format!("requests[{index}].") } else { String::new() };
        let first = self.requests.first().cloned().unwrap_or_default();
        let purpose = first.purpose();
        let mut inputs = Vec::with_capacity(self.requests.len());
        for (index, request) in self.requests.iter().enumerate() {
            let is_same =
                request.output_dimensionality == first.output_dimensionality && request.purpose() == purpose;
            if !is_same {
                let param = format!("requests[{index}]");
                let message = format!(
                    "{param} must have the same taskType, title and outputDimensionality as the first"
                );
                return Err(ApiError::invalid(param, message));
            }
            inputs.push(EmbeddingInput::Text(request.text(&place(index))?));
        }
        let dimensions = first.output_dimensionality.map(|count| u32::try_from(count).unwrap_or(0));
        let task = EmbeddingTask { inputs, dimensions };
        task.check().map_err(|error| {
            let param = match error.field {
                Field::Dimensions => format!("{}outputDimensionality", place(0)),
                Field::Input(index) => format!("{}content", place(index)),
                _ => "requests".to_owned(),
            };
            ApiError::unfit(param, &error)
        })?;
        Ok(Generation {
            while_loading: first.while_loading.unwrap_or_default(),
            priority: first.priority.unwrap_or_default(),
            extra: unknown_fields(ClientDialect::Gemini, purpose)?,
            ..Generation::new(Some(ModelId::new(model)), task)
        })
    }

    /// How many texts there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.requests.len()
    }
}

impl BatchEmbedContentsAnswer {
    /// The vectors of `count` texts, from a run's events.
    ///
    /// # Errors
    /// The run's own error; `internal` if a vector is missing.
    pub fn collected(events: &[RunEvent], count: usize) -> Result<Self, ApiError> {
        ending(events)?;
        let mut vectors: Vec<Option<GeminiVector>> = vec![None; count];
        for event in events {
            if let RunEventBody::Embedding { index, vector } = &event.body
                && let Some(place) = vectors.get_mut(*index as usize)
            {
                *place = Some(GeminiVector { values: vector.clone() });
            }
        }
        let embeddings: Option<Vec<GeminiVector>> = vectors.into_iter().collect();
        let missing = || ApiError::new(ErrorCode::Internal, "the run ended without a vector for each text");
        Ok(Self { embeddings: embeddings.ok_or_else(missing)? })
    }
}

impl EmbedContentAnswer {
    /// The vector of one text, from a run's events.
    ///
    /// # Errors
    /// The run's own error; `internal` if there is no vector.
    pub fn collected(events: &[RunEvent]) -> Result<Self, ApiError> {
        let mut vectors = BatchEmbedContentsAnswer::collected(events, 1)?.embeddings;
        let missing = || ApiError::new(ErrorCode::Internal, "the run ended without a vector");
        Ok(Self { embedding: vectors.pop().ok_or_else(missing)? })
    }
}
