//! The request of `POST /api/chat`.

use hearth_domain::{ClientDialect, Extra, Generation, ModelId, TextTask};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{
    OllamaMessage, OllamaRenderer,
    conversation::conversation,
    format::{is_zero, parse_format, parse_think},
    options::{ignored_options, param, sampling},
};
use crate::{
    ApiError,
    logprobs::top_logprobs,
    run_options::RunOptions,
    tools::{ToolBody, chat_tools},
};

/// A chat request as Ollama's clients send it. Unknown fields are ignored, as Ollama does.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
pub struct OllamaChatRequest {
    /// A model's id, with or without the tag `latest`, or `auto`.
    #[schema(example = "tiny-chat")]
    pub model: String,
    /// The conversation, oldest first. An empty one loads the model, or unloads it with `keep_alive` 0.
    #[serde(default)]
    #[schema(value_type = Option<Vec<OllamaMessage>>)]
    pub messages: Option<Vec<OllamaMessage>>,
    /// True (the default) to stream the answer as lines of JSON.
    pub stream: Option<bool>,
    /// Tools that the model may call.
    pub tools: Option<Vec<ToolBody>>,
    /// Format of the answer: `"json"`, or a JSON Schema.
    #[schema(value_type = Option<Value>)]
    pub format: Option<Value>,
    /// Sampling parameters: `temperature`, `top_p`, `top_k`, `min_p`, `seed`, `stop`, `num_predict`, `repeat_penalty`,
    /// `presence_penalty`, `frequency_penalty`. Others have no effect, and are listed in `x-hearth-ignored-options`.
    #[schema(value_type = Option<Object>)]
    pub options: Option<Map<String, Value>>,
    /// Reasoning, for a reasoning model: a boolean, or `low`, `medium`, `high` or `max`.
    #[schema(value_type = Option<Value>)]
    pub think: Option<Value>,
    /// Without messages, 0 unloads the model. Otherwise it has no effect: the node's settings decide when to unload a model.
    #[schema(value_type = Option<Value>)]
    pub keep_alive: Option<Value>,
    /// If true, the answer has the log-probabilities of its tokens.
    pub logprobs: Option<bool>,
    /// With `logprobs`: number of most likely tokens to return for each position, 0 to 20.
    pub top_logprobs: Option<u32>,
    /// Options of the gateway.
    #[serde(flatten)]
    pub run_options: RunOptions,
}

impl OllamaChatRequest {
    /// Returns whether to stream.
    #[must_use]
    pub fn streams(&self) -> bool {
        self.stream.unwrap_or(true)
    }

    /// Returns whether the request only loads or unloads the model.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.messages.as_ref().is_none_or(Vec::is_empty) && !self.run_options.has_template()
    }

    /// Returns whether an empty request unloads the model.
    #[must_use]
    pub fn unloads(&self) -> bool {
        is_zero(self.keep_alive.as_ref())
    }

    /// The names of options that have no effect.
    #[must_use]
    pub fn ignored_options(&self) -> Vec<&str> {
        self.options.as_ref().map(ignored_options).unwrap_or_default()
    }

    /// Creates the renderer of the run `request_id`.
    #[must_use]
    pub fn renderer(&self, request_id: hearth_domain::RunId) -> OllamaRenderer {
        OllamaRenderer::chat(request_id, self.model.clone())
    }

    /// Converts the request to the model `id`.
    ///
    /// # Errors
    /// `invalid_request`, naming the field.
    pub fn into_generation(self, id: String) -> Result<Generation, ApiError> {
        let sampling = sampling(&self.options.unwrap_or_default())?;
        let messages = conversation(self.messages.unwrap_or_default())?;
        let offered = chat_tools(self.tools)?;
        let task = TextTask {
            response_format: parse_format(self.format)?,
            tools: offered.functions,
            reasoning: parse_think(self.think.as_ref())?,
            top_logprobs: top_logprobs(self.logprobs, self.top_logprobs, "top_logprobs")?,
            ..TextTask::new(messages, sampling)
        };
        self.run_options
            .check_text(&task)
            .map_err(|error| ApiError::unfit(param(error.field, &offered.params), &error))?;
        self.run_options.apply(Generation {
            extra: Extra { hosted: offered.hosted, ..Extra::new(ClientDialect::Ollama, Map::new()) },
            ..Generation::new(Some(ModelId::new(id)), task)
        })
    }
}
