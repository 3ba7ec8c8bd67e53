//! `POST /api/chat`: what is asked.

use hearth_domain::{
    ClientDialect, Extra, Generation, ModelId, OnDisconnect, Priority, Route, SelectionMode, TextTask,
    WhileLoading,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{
    OllamaMessage, Renderer,
    conversation::conversation,
    format::{effort, is_zero, response_format},
    options::{ignored, param, sampling},
};
use crate::{
    ApiError,
    native::fallback::Fallback,
    openai::{
        logprobs::top_logprobs,
        tools::{Offered, ToolBody},
    },
};

/// A chat request as Ollama's clients send it. Unknown fields are ignored, as Ollama does.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
pub struct OllamaChatRequest {
    /// A model's id, with or without the tag `latest`, or `auto`.
    #[schema(example = "tiny-chat")]
    pub model: String,
    /// The conversation, oldest first. None: load the model, or with `keep_alive` 0 unload it.
    #[serde(default)]
    #[schema(value_type = Option<Vec<OllamaMessage>>)]
    pub messages: Option<Vec<OllamaMessage>>,
    /// Whether to answer in lines of JSON; it does, unless this is false.
    pub stream: Option<bool>,
    /// Tools that the model may call.
    pub tools: Option<Vec<ToolBody>>,
    /// The form of the answer: `"json"`, or a JSON Schema.
    #[schema(value_type = Option<Value>)]
    pub format: Option<Value>,
    /// How to sample: `temperature`, `top_p`, `top_k`, `min_p`, `seed`, `stop`, `num_predict`, `repeat_penalty`,
    /// `presence_penalty`, `frequency_penalty`. Others have no effect, and are named in `x-hearth-ignored-options`.
    #[schema(value_type = Option<Object>)]
    pub options: Option<Map<String, Value>>,
    /// Whether to think first, where the model can: a boolean, or `low`, `medium`, `high` or `max`.
    #[schema(value_type = Option<Value>)]
    pub think: Option<Value>,
    /// With no messages, 0 unloads the model. Otherwise it has no effect: when a model leaves is the node's setting.
    #[schema(value_type = Option<Value>)]
    pub keep_alive: Option<Value>,
    /// Whether to give log-probabilities.
    pub logprobs: Option<bool>,
    /// With `logprobs`: tell this many of the likeliest tokens for each place, 0 to 20.
    pub top_logprobs: Option<u32>,
    /// An extension: `cancel` or `continue`.
    #[schema(value_type = Option<String>)]
    pub on_disconnect: Option<OnDisconnect>,
    /// An extension: while the model is being loaded, `wait`, or let the `default` model answer.
    #[schema(value_type = Option<String>)]
    pub while_loading: Option<WhileLoading>,
    /// An extension: `low`, `normal` or `high` among the requests that wait.
    #[schema(value_type = Option<String>)]
    pub priority: Option<Priority>,
    /// An extension: what to try when the first choice can't serve it: `false`, or `{"models": [...]}`.
    #[schema(value_type = Option<Object>)]
    pub fallback: Option<Fallback>,
    /// An extension: whether another model may go on with an answer that breaks off.
    pub resume: Option<bool>,
    /// An extension: `auto`, `free_only`, `commercial_only`, or only the `model` that is named.
    #[schema(value_type = Option<String>)]
    pub selection_mode: Option<SelectionMode>,
}

impl OllamaChatRequest {
    /// Whether to stream.
    #[must_use]
    pub fn streams(&self) -> bool {
        self.stream.unwrap_or(true)
    }

    /// Whether nothing is asked but that the model be loaded or unloaded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.messages.as_ref().is_none_or(Vec::is_empty)
    }

    /// Whether an empty request asks for the model to be unloaded.
    #[must_use]
    pub fn unloads(&self) -> bool {
        is_zero(self.keep_alive.as_ref())
    }

    /// The names of options that have no effect.
    #[must_use]
    pub fn ignored_options(&self) -> Vec<&str> {
        self.options.as_ref().map(ignored).unwrap_or_default()
    }

    /// What shows the events of the run `request_id` as this request wants them.
    #[must_use]
    pub fn renderer(&self, request_id: hearth_domain::RunId) -> Renderer {
        Renderer::chat(request_id, self.model.clone())
    }

    /// The request without its dialect, to the model `id`.
    ///
    /// # Errors
    /// `invalid_request`, naming the field.
    pub fn into_generation(self, id: String) -> Result<Generation, ApiError> {
        let sampling = sampling(&self.options.unwrap_or_default())?;
        let messages = conversation(self.messages.unwrap_or_default())?;
        let offered = Offered::of_chat(self.tools)?;
        let task = TextTask {
            response_format: response_format(self.format)?,
            tools: offered.functions,
            reasoning: effort(self.think.as_ref())?,
            top_logprobs: top_logprobs(self.logprobs, self.top_logprobs, "top_logprobs")?,
            ..TextTask::new(messages, sampling)
        };
        task.check().map_err(|error| ApiError::unfit(param(error.field), &error))?;
        Ok(Generation {
            on_disconnect: self.on_disconnect.unwrap_or_default(),
            while_loading: self.while_loading.unwrap_or_default(),
            priority: self.priority.unwrap_or_default(),
            route: Route {
                mode: self.selection_mode.unwrap_or_default(),
                fallbacks: self.fallback.map(Fallback::into_models).transpose()?,
                resume: self.resume.unwrap_or_default(),
                ..Route::default()
            },
            extra: Extra { hosted: offered.hosted, ..Extra::new(ClientDialect::Ollama, Map::new()) },
            ..Generation::new(Some(ModelId::new(id)), task)
        })
    }
}
