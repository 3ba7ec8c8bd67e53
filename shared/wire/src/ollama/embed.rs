//! `POST /api/embed`, and the older `POST /api/embeddings`.

use std::fmt;

use hearth_domain::{
    ClientDialect, EmbeddingInput, EmbeddingTask, Extra, Field, Generation, ModelId, Priority, Usage,
    WhileLoading,
};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{SeqAccess, Visitor, value::SeqAccessDeserializer},
};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::clock::Clock;
use crate::{ApiError, ErrorCode, RunEvent, RunEventBody, answer::ending};

/// A request for vectors as Ollama's clients send it. Unknown fields are ignored.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
pub struct OllamaEmbedRequest {
    /// A model's id, with or without the tag `latest`, or `auto` for the default embedding model.
    #[schema(example = "auto")]
    pub model: String,
    /// A text, or a list of at most 2048 texts. None: nothing is embedded.
    #[serde(default)]
    #[schema(value_type = Value)]
    pub input: OllamaInputs,
    /// Give only this many of each vector's first numbers.
    pub dimensions: Option<u32>,
    /// Ignored: a text that is too long is refused, not cut off.
    pub truncate: Option<bool>,
    /// Ignored.
    #[schema(value_type = Option<Object>)]
    pub options: Option<Map<String, Value>>,
    /// Ignored: when a model leaves is the node's setting.
    #[schema(value_type = Option<Value>)]
    pub keep_alive: Option<Value>,
    /// An extension: while the model is being loaded, `wait`, or let the `default` model answer.
    #[schema(value_type = Option<String>)]
    pub while_loading: Option<WhileLoading>,
    /// An extension: `low`, `normal` or `high` among the requests that wait.
    #[schema(value_type = Option<String>)]
    pub priority: Option<Priority>,
}

/// A text, or several.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct OllamaInputs(pub Vec<String>);

/// By hand and not `untagged`, which would not tell which text is at fault.
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
    /// The text. None: nothing is embedded.
    pub prompt: Option<String>,
}

impl OllamaEmbedRequest {
    /// The request without its dialect, to the model `id`; none if there is nothing to embed.
    ///
    /// # Errors
    /// `invalid_request`, naming the field.
    pub fn into_generation(self, id: String) -> Result<Option<Generation>, ApiError> {
        let OllamaInputs(texts) = self.input;
        if texts.is_empty() {
            return Ok(None);
        }
        let generation = generation(id, texts, self.dimensions, "input")?;
        Ok(Some(Generation {
            while_loading: self.while_loading.unwrap_or_default(),
            priority: self.priority.unwrap_or_default(),
            ..generation
        }))
    }
}

impl OllamaEmbeddingRequest {
    /// The request without its dialect, to the model `id`; none if there is nothing to embed.
    ///
    /// # Errors
    /// `invalid_request`, naming the field.
    pub fn into_generation(self, id: String) -> Result<Option<Generation>, ApiError> {
        let text = self.prompt.filter(|text| !text.is_empty());
        text.map(|text| generation(id, vec![text], None, "prompt")).transpose()
    }
}

/// `field`: where the texts stood, for the error.
fn generation(
    id: String,
    texts: Vec<String>,
    dimensions: Option<u32>,
    field: &str,
) -> Result<Generation, ApiError> {
    let one = texts.len() == 1;
    let task = EmbeddingTask { inputs: texts.into_iter().map(EmbeddingInput::Text).collect(), dimensions };
    task.check().map_err(|error| {
        let param = match error.field {
            Field::Dimensions => "dimensions".to_owned(),
            Field::Input(index) if !one => format!("{field}[{index}]"),
            _ => field.to_owned(),
        };
        ApiError::unfit(param, &error)
    })?;
    Ok(Generation {
        extra: Extra::new(ClientDialect::Ollama, Map::new()),
        ..Generation::new(Some(ModelId::new(id)), task)
    })
}

/// The vectors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OllamaEmbedAnswer {
    /// The model, by the name that it was asked under.
    pub model: String,
    /// A vector for each text, in order, each of length 1.
    pub embeddings: Vec<Vec<f32>>,
    /// From the request to the answer's end, in nanoseconds.
    pub total_duration: u64,
    /// Until the model began: waiting, and loading.
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

/// Takes the events of a run that embeds texts, as they come.
#[derive(Debug)]
pub struct EmbedRenderer {
    model: String,
    clock: Clock,
}

impl EmbedRenderer {
    /// Of a request for `model`, before its run.
    #[must_use]
    pub fn new(model: String) -> Self {
        Self { model, clock: Clock::start() }
    }

    /// Notes the time of an event.
    pub fn observe(&mut self, event: &RunEvent) {
        self.clock.note(&event.body);
    }

    /// The answer, of every event of a run that embeds `count` texts.
    ///
    /// # Errors
    /// The run's own error; `provider_error` if a vector is missing.
    pub fn collected(self, events: &[RunEvent], count: usize) -> Result<OllamaEmbedAnswer, ApiError> {
        if count > 0 {
            ending(events)?;
        }
        let (mut vectors, mut usage) = (Vec::with_capacity(count), Usage::default());
        for event in events {
            match &event.body {
                RunEventBody::Embedding { index, vector } => vectors.push((*index, vector.clone())),
                RunEventBody::Usage { usage: told } => usage = *told,
                _ => {}
            }
        }
        vectors.sort_by_key(|(index, _)| *index);
        if vectors.len() != count || (0..).zip(&vectors).any(|(place, (index, _))| *index != place) {
            return Err(ApiError::new(ErrorCode::ProviderError, "the model left out a vector; try again"));
        }
        let durations = self.clock.durations();
        Ok(OllamaEmbedAnswer {
            model: self.model,
            embeddings: vectors.into_iter().map(|(_, vector)| vector).collect(),
            total_duration: durations.total,
            load_duration: durations.load,
            prompt_eval_count: usage.prompt_tokens,
        })
    }
}

impl From<OllamaEmbedAnswer> for OllamaEmbeddingAnswer {
    fn from(answer: OllamaEmbedAnswer) -> Self {
        Self { embedding: answer.embeddings.into_iter().next().unwrap_or_default() }
    }
}
