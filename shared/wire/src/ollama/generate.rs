//! The request of `POST /api/generate`.

use hearth_domain::{ClientDialect, Extra, Generation, Message, ModelId, RawPrompt, Role, RunId, TextTask};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{
    OllamaRenderer,
    format::{is_zero, parse_format, parse_think},
    image::parse_image,
    options::{ignored_options, param, sampling},
};
use crate::{ApiError, logprobs::top_logprobs, message_parts::MessageParts, run_options::RunOptions};

/// A generate request as Ollama's clients send it. Unknown fields are ignored, as Ollama does.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
pub struct OllamaGenerateRequest {
    /// A model's id, with or without the tag `latest`, or `auto`.
    #[schema(example = "tiny-chat")]
    pub model: String,
    /// The user's text. An empty one loads the model, or unloads it with `keep_alive` 0.
    pub prompt: Option<String>,
    /// Text after the answer, for a local model that was trained to fill gaps.
    pub suffix: Option<String>,
    /// Instructions.
    pub system: Option<String>,
    /// If true, the prompt goes to a local model without its chat template.
    pub raw: Option<bool>,
    /// Images of the prompt, in base64.
    pub images: Option<Vec<String>>,
    /// True (the default) to stream the answer as lines of JSON.
    pub stream: Option<bool>,
    /// Format of the answer: `"json"`, or a JSON Schema.
    #[schema(value_type = Option<Value>)]
    pub format: Option<Value>,
    /// Sampling parameters, as in a chat.
    #[schema(value_type = Option<Object>)]
    pub options: Option<Map<String, Value>>,
    /// Reasoning, for a reasoning model: a boolean, or `low`, `medium`, `high` or `max`.
    #[schema(value_type = Option<Value>)]
    pub think: Option<Value>,
    /// Without a prompt, 0 unloads the model. Otherwise it has no effect.
    #[schema(value_type = Option<Value>)]
    pub keep_alive: Option<Value>,
    /// If true, the answer has the log-probabilities of its tokens.
    pub logprobs: Option<bool>,
    /// With `logprobs`: number of most likely tokens to return for each position, 0 to 20.
    pub top_logprobs: Option<u32>,
    /// Refused: the model's own chat template is used, or none with `raw`.
    pub template: Option<String>,
    /// Refused: send conversations to `/api/chat`.
    pub context: Option<Vec<i64>>,
    /// Options of the gateway.
    #[serde(flatten)]
    pub run_options: RunOptions,
}

impl OllamaGenerateRequest {
    /// Returns whether to stream.
    #[must_use]
    pub fn streams(&self) -> bool {
        self.stream.unwrap_or(true)
    }

    /// Returns whether the request only loads or unloads the model.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.prompt.as_ref().is_none_or(String::is_empty) && !self.run_options.has_template()
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
    pub fn renderer(&self, request_id: RunId) -> OllamaRenderer {
        OllamaRenderer::generate(request_id, self.model.clone())
    }

    /// Converts the request to the model `id`.
    ///
    /// # Errors
    /// `invalid_request`, naming the field.
    pub fn into_generation(self, id: String) -> Result<Generation, ApiError> {
        self.refuse_unsupported()?;
        let prompt = self.prompt.unwrap_or_default();
        let suffix = self.suffix.filter(|suffix| !suffix.is_empty());
        let raw = match (self.raw.unwrap_or(false), suffix) {
            (_, Some(suffix)) => Some(RawPrompt::Infill { prefix: prompt.clone(), suffix }),
            (true, None) => Some(RawPrompt::Text(prompt.clone())),
            (false, None) => None,
        };
        let has_images = self.images.as_ref().is_some_and(|images| !images.is_empty());
        let mut user = MessageParts::default();
        user.add_text(&prompt, "", Map::new());
        for (index, data) in self.images.unwrap_or_default().into_iter().enumerate() {
            user.add_image(parse_image(data, &format!("images[{index}]"))?, Map::new());
        }
        let system = self.system.filter(|system| !system.is_empty());
        let mut messages: Vec<Message> =
            system.map(|text| Message::new(Role::System, text)).into_iter().collect();
        let has_input = !prompt.is_empty() || has_images;
        messages.extend(
            Some(user.into_message(Role::User)).filter(|_| has_input || !self.run_options.has_template()),
        );
        let task = TextTask {
            response_format: parse_format(self.format)?,
            reasoning: parse_think(self.think.as_ref())?,
            top_logprobs: top_logprobs(self.logprobs, self.top_logprobs, "top_logprobs")?,
            raw,
            ..TextTask::new(messages, sampling(&self.options.unwrap_or_default())?)
        };
        self.run_options
            .check_text(&task)
            .map_err(|error| ApiError::unfit(param(error.field, &[]), &error))?;
        self.run_options.apply(Generation {
            extra: Extra::new(ClientDialect::Ollama, Map::new()),
            ..Generation::new(Some(ModelId::new(id)), task)
        })
    }

    fn refuse_unsupported(&self) -> Result<(), ApiError> {
        let is_present = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
        if is_present(&self.template) {
            let message = "the model's own chat template is used; leave template out, or send the whole prompt with raw";
            return Err(ApiError::invalid("template", message));
        }
        if self.context.as_ref().is_some_and(|context| !context.is_empty()) {
            let message = "context is not supported; send the conversation to /api/chat";
            return Err(ApiError::invalid("context", message));
        }
        let has_images = self.images.as_ref().is_some_and(|images| !images.is_empty());
        let is_raw = self.raw.unwrap_or(false) || is_present(&self.suffix);
        for (name, is_set) in [("system", is_present(&self.system)), ("images", has_images)] {
            if is_raw && is_set {
                let message = format!(
                    "{name} can't be combined with raw or suffix, which send the prompt without a chat template"
                );
                return Err(ApiError::invalid(name, message));
            }
        }
        Ok(())
    }
}
