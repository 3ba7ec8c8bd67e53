//! `POST /api/embed`, and the older `POST /api/embeddings`.

use std::fmt;

use hearth_domain::{ClientDialect, EmbeddingInput, EmbeddingTask, Extra, Field, Generation, ModelId};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{SeqAccess, Visitor, value::SeqAccessDeserializer},
};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::run_timer::RunTimer;
use crate::{ApiError, RunEvent, run_options::RunOptions, vectors::Vectors};

/// A request for vectors as Ollama's clients send it. Unknown fields are ignored.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
pub struct OllamaEmbedRequest {
    /// A model's id, with or without the tag `latest`, or `auto` for the default embedding model.
    #[schema(example = "auto")]
    pub model: String,
    /// A text, or a list of at most 2048 texts. An empty one embeds nothing.
    #[serde(default)]
    #[schema(value_type = Value)]
    pub input: OllamaInputs,
    /// Number of dimensions: vectors are shortened to it.
    #[schema(minimum = 1)]
    pub dimensions: Option<u32>,
    /// Ignored: a text that is too long is refused, not truncated.
    pub truncate: Option<bool>,
    /// Ignored.
    #[schema(value_type = Option<Object>)]
    pub options: Option<Map<String, Value>>,
    /// Ignored: the node's settings decide when to unload a model.
    #[schema(value_type = Option<Value>)]
    pub keep_alive: Option<Value>,
    /// Options of the gateway.
    #[serde(flatten)]
    pub run_options: RunOptions,
}

/// A text, or several.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct OllamaInputs(pub Vec<String>);

/// Not derived: an error of the derived form doesn't name the text.
impl<'de> Deserialize<'de> for OllamaInputs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InputsVisitor;

        impl<'de> Visitor<'de> for InputsVisitor {
            type Value = OllamaInputs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a list of strings")
            }

            fn visit_unit<E>(self) -> Result<OllamaInputs, E> {
                Ok(OllamaInputs::default())
            }

            fn visit_str<E>(self, text: &str) -> Result<OllamaInputs, E> {
                Ok(OllamaInputs(Some(text.to_owned()).filter(|text| !text.is_empty()).into_iter().collect()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, texts: A) -> Result<OllamaInputs, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(texts)).map(OllamaInputs)
            }
        }

        deserializer.deserialize_any(InputsVisitor)
    }
}

/// A request for one vector, as older clients send it.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
pub struct OllamaEmbeddingRequest {
    /// A model's id, with or without the tag `latest`, or `auto` for the default embedding model.
    #[schema(example = "auto")]
    pub model: String,
    /// The text. An empty one embeds nothing.
    pub prompt: Option<String>,
    /// Options of the gateway.
    #[serde(flatten)]
    pub run_options: RunOptions,
}

impl OllamaEmbedRequest {
    /// Converts the request to the model `id`; `None` if there is nothing to embed.
    ///
    /// # Errors
    /// `invalid_request`, naming the field.
    pub fn into_generation(self, id: String) -> Result<Option<Generation>, ApiError> {
        let OllamaInputs(texts) = self.input;
        if texts.is_empty() {
            return Ok(None);
        }
        let generation = generation(id, texts, self.dimensions, "input")?;
        self.run_options.apply(generation).map(Some)
    }
}

impl OllamaEmbeddingRequest {
    /// Converts the request to the model `id`; `None` if there is nothing to embed.
    ///
    /// # Errors
    /// `invalid_request`, naming the field.
    pub fn into_generation(self, id: String) -> Result<Option<Generation>, ApiError> {
        let Some(text) = self.prompt.filter(|text| !text.is_empty()) else { return Ok(None) };
        self.run_options.apply(generation(id, vec![text], None, "prompt")?).map(Some)
    }
}

/// Creates a generation. `field` is the field of the texts, for the error.
fn generation(
    id: String,
    texts: Vec<String>,
    dimensions: Option<u32>,
    field: &str,
) -> Result<Generation, ApiError> {
    let is_single = texts.len() == 1;
    let task = EmbeddingTask { inputs: texts.into_iter().map(EmbeddingInput::Text).collect(), dimensions };
    task.check().map_err(|error| {
        let param = match error.field {
            Field::Dimensions => "dimensions".to_owned(),
            Field::Input(index) if !is_single => format!("{field}[{index}]"),
            _ => field.to_owned(),
        };
        ApiError::unfit(param, &error)
    })?;
    Ok(Generation {
        extra: Extra::new(ClientDialect::Ollama, Map::new()),
        ..Generation::new(Some(ModelId::new(id)), task)
    })
}

/// A list of vectors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OllamaEmbedAnswer {
    /// The model, by its name in the request.
    pub model: String,
    /// A vector for each text, in order, each of length 1.
    pub embeddings: Vec<Vec<f32>>,
    /// Time from the request to the answer's end, in nanoseconds.
    pub total_duration: u64,
    /// Time until the model began, in nanoseconds: waiting and loading.
    pub load_duration: u64,
    /// Tokens of all texts.
    pub prompt_eval_count: u32,
}

/// One vector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OllamaEmbeddingAnswer {
    /// The vector, of length 1; empty if there was no text.
    pub embedding: Vec<f32>,
}

/// Renders the events of a run that embeds texts.
#[derive(Debug)]
pub struct OllamaEmbedRenderer {
    model: String,
    timer: RunTimer,
}

impl OllamaEmbedRenderer {
    /// Creates a renderer before the run. `model` is the model's name in the request.
    #[must_use]
    pub fn new(model: String) -> Self {
        Self { model, timer: RunTimer::start() }
    }

    /// Records the time of an event.
    pub fn observe(&mut self, event: &RunEvent) {
        self.timer.record(&event.body);
    }

    /// Renders all events of a run that embeds `count` texts. No texts have no run.
    ///
    /// # Errors
    /// The run's own error; `provider_error` if a vector is missing.
    pub fn into_answer(self, events: &[RunEvent], count: usize) -> Result<OllamaEmbedAnswer, ApiError> {
        let vectors = if count == 0 { Vectors::default() } else { Vectors::collect(events, count)? };
        let durations = self.timer.durations();
        Ok(OllamaEmbedAnswer {
            model: self.model,
            embeddings: vectors.vectors,
            total_duration: durations.total,
            load_duration: durations.load,
            prompt_eval_count: vectors.usage.prompt_tokens,
        })
    }
}

impl From<OllamaEmbedAnswer> for OllamaEmbeddingAnswer {
    fn from(answer: OllamaEmbedAnswer) -> Self {
        Self { embedding: answer.embeddings.into_iter().next().unwrap_or_default() }
    }
}
