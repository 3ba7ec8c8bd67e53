//! `:embedContent` and `:batchEmbedContents` (<https://ai.google.dev/api/embeddings>).

use hearth_domain::{ClientDialect, EmbeddingInput, EmbeddingTask, Field, Generation, ModelId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::{
    GeminiContent,
    proto_json::{integer, one_or_many},
};
use crate::{ApiError, RunEvent, run_options::RunOptions, unknown_fields::unknown_fields, vectors::Vectors};

/// A text to embed, as Google's SDKs send it.
#[derive(Debug, Clone, Default, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct EmbedContentRequest {
    /// The text, in one part or in several.
    #[schema(required = true)]
    pub content: GeminiContent,
    /// Purpose of the vector, for a provider of this dialect.
    #[serde(alias = "task_type")]
    #[schema(example = "RETRIEVAL_DOCUMENT")]
    pub task_type: Option<String>,
    /// Title of the document, for a provider of this dialect.
    pub title: Option<String>,
    /// Number of dimensions: the vector is shortened to it.
    #[serde(alias = "output_dimensionality", deserialize_with = "integer")]
    #[schema(minimum = 1, maximum = 4_294_967_295_i64)]
    pub output_dimensionality: Option<i64>,
    /// Options of the gateway.
    #[serde(flatten)]
    pub run_options: RunOptions,
}

/// Several texts to embed.
#[derive(Debug, Clone, Default, Deserialize, Serialize, ToSchema)]
#[serde(default)]
pub struct BatchEmbedContentsRequest {
    /// The texts, at most 2048. The other fields must be the same in each request.
    #[serde(deserialize_with = "one_or_many")]
    #[schema(required = true, min_items = 1, max_items = 2048)]
    pub requests: Vec<EmbedContentRequest>,
    /// Options of the gateway.
    #[serde(flatten)]
    pub run_options: RunOptions,
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
    /// The numbers.
    pub values: Vec<f32>,
}

impl EmbedContentRequest {
    /// Converts the request to `model`.
    ///
    /// # Errors
    /// `invalid_request`, naming the field.
    pub fn into_generation(self, model: String) -> Result<Generation, ApiError> {
        BatchEmbedContentsRequest { requests: vec![self], ..BatchEmbedContentsRequest::default() }
            .generation(model, false)
    }

    /// Joins the text parts; other parts can't be embedded. `prefix` goes before the field's name, for the error.
    fn text(&self, prefix: &str) -> Result<String, ApiError> {
        let mut texts = Vec::with_capacity(self.content.parts.len());
        for (index, part) in self.content.parts.iter().enumerate() {
            let text = part.text.as_deref().ok_or_else(|| {
                let param = format!("{prefix}content.parts[{index}]");
                ApiError::invalid(&param, format!("{param} must be a text: nothing else can be embedded"))
            })?;
            texts.push(text);
        }
        Ok(texts.join("\n"))
    }

    /// The fields that are passed on to a provider of this dialect.
    fn vendor_fields(&self) -> Map<String, Value> {
        let fields = [("taskType", &self.task_type), ("title", &self.title)];
        let present =
            fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), json!(value.as_ref()?))));
        present.collect()
    }
}

impl BatchEmbedContentsRequest {
    /// Converts the request to `model`.
    ///
    /// # Errors
    /// `invalid_request`, naming the field.
    pub fn into_generation(self, model: String) -> Result<Generation, ApiError> {
        self.generation(model, true)
    }

    fn generation(self, model: String, is_batch: bool) -> Result<Generation, ApiError> {
        let prefix = |index: usize| if is_batch { format!("requests[{index}].") } else { String::new() };
        let first = self.requests.first().cloned().unwrap_or_default();
        let vendor_fields = first.vendor_fields();
        let mut inputs = Vec::with_capacity(self.requests.len());
        for (index, request) in self.requests.iter().enumerate() {
            let is_same = request.output_dimensionality == first.output_dimensionality
                && request.run_options == first.run_options
                && request.vendor_fields() == vendor_fields;
            if !is_same {
                let param = format!("requests[{index}]");
                let message = format!(
                    "{param} must have the same taskType, title, outputDimensionality and options as the first"
                );
                return Err(ApiError::invalid(param, message));
            }
            inputs.push(EmbeddingInput::Text(request.text(&prefix(index))?));
        }
        let dimensions = first.output_dimensionality.map(|count| u32::try_from(count).unwrap_or(0));
        let task = EmbeddingTask { inputs, dimensions };
        task.check().map_err(|error| {
            let param = match error.field {
                Field::Dimensions => format!("{}outputDimensionality", prefix(0)),
                Field::Input(index) => format!("{}content", prefix(index)),
                _ => "requests".to_owned(),
            };
            ApiError::unfit(param, &error)
        })?;
        // The options of a batch are fields beside its requests, or in each of them.
        let is_set = self.run_options != RunOptions::default();
        let options = if is_set { self.run_options } else { first.run_options };
        options.apply(Generation {
            extra: unknown_fields(ClientDialect::Gemini, vendor_fields)?,
            ..Generation::new(Some(ModelId::new(model)), task)
        })
    }

    /// Number of texts.
    #[must_use]
    pub fn count(&self) -> usize {
        self.requests.len()
    }
}

impl BatchEmbedContentsAnswer {
    /// Renders all events of a run that embeds `count` texts.
    ///
    /// # Errors
    /// The run's own error; `provider_error` if a vector is missing.
    pub fn from_events(events: &[RunEvent], count: usize) -> Result<Self, ApiError> {
        let vectors = Vectors::collect(events, count)?.vectors;
        Ok(Self { embeddings: vectors.into_iter().map(|values| GeminiVector { values }).collect() })
    }
}

impl EmbedContentAnswer {
    /// Renders all events of a run that embeds one text.
    ///
    /// # Errors
    /// The run's own error; `provider_error` if the vector is missing.
    pub fn from_events(events: &[RunEvent]) -> Result<Self, ApiError> {
        let values = Vectors::collect(events, 1)?.vectors.pop().unwrap_or_default();
        Ok(Self { embedding: GeminiVector { values } })
    }
}
