//! `POST /api/generate`: what is asked.

use hearth_domain::{
    ClientDialect, Extra, Generation, Message, ModelId, OnDisconnect, Priority, RawPrompt, Role, Route,
    RunId, SelectionMode, TextTask, WhileLoading,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{
    Renderer,
    format::{effort, is_zero, response_format},
    options::{ignored, param, sampling},
    picture::image,
};
use crate::{ApiError, native::fallback::Fallback, openai::logprobs::top_logprobs, parts::MessageParts};

/// A request for an answer to a prompt as Ollama's clients send it. Unknown fields are ignored, as Ollama does.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
pub struct OllamaGenerateRequest {
    /// A model's id, with or without the tag `latest`, or `auto`.
    #[schema(example = "tiny-chat")]
    pub model: String,
    /// What the user says. None: load the model, or with `keep_alive` 0 unload it.
    pub prompt: Option<String>,
    /// What stands behind the gap that a local model is to fill, if it was trained for that.
    pub suffix: Option<String>,
    /// Instructions.
    pub system: Option<String>,
    /// Whether a local model is given the prompt as it is, without its chat template.
    pub raw: Option<bool>,
    /// Images that go with the prompt, in base64.
    pub images: Option<Vec<String>>,
    /// Whether to answer in lines of JSON; it does, unless this is false.
    pub stream: Option<bool>,
    /// The form of the answer: `"json"`, or a JSON Schema.
    #[schema(value_type = Option<Value>)]
    pub format: Option<Value>,
    /// How to sample, as in a chat.
    #[schema(value_type = Option<Object>)]
    pub options: Option<Map<String, Value>>,
    /// Whether to think first, where the model can: a boolean, or `low`, `medium`, `high` or `max`.
    #[schema(value_type = Option<Value>)]
    pub think: Option<Value>,
    /// Without a prompt, 0 unloads the model. Otherwise it has no effect.
    #[schema(value_type = Option<Value>)]
    pub keep_alive: Option<Value>,
    /// Whether to give log-probabilities.
    pub logprobs: Option<bool>,
    /// With `logprobs`: tell this many of the likeliest tokens for each place, 0 to 20.
    pub top_logprobs: Option<u32>,
    /// Refused: a model's own chat template is used. `raw` does without.
    pub template: Option<String>,
    /// Refused: conversations are sent to `/api/chat`.
    pub context: Option<Vec<i64>>,
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

impl OllamaGenerateRequest {
    /// Whether to stream.
    #[must_use]
    pub fn streams(&self) -> bool {
        self.stream.unwrap_or(true)
    }

    /// Whether nothing is asked but that the model be loaded or unloaded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.prompt.as_ref().is_none_or(String::is_empty)
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
    pub fn renderer(&self, request_id: RunId) -> Renderer {
        Renderer::generate(request_id, self.model.clone())
    }

    /// The request without its dialect, to the model `id`.
    ///
    /// # Errors
    /// `invalid_request`, naming the field.
    pub fn into_generation(self, id: String) -> Result<Generation, ApiError> {
        self.refuse_what_is_not_done()?;
        let prompt = self.prompt.unwrap_or_default();
        let suffix = self.suffix.filter(|suffix| !suffix.is_empty());
        let raw = match (self.raw.unwrap_or(false), suffix) {
            (_, Some(suffix)) => Some(RawPrompt::Infill { prefix: prompt.clone(), suffix }),
            (true, None) => Some(RawPrompt::Text(prompt.clone())),
            (false, None) => None,
        };
        let mut user = MessageParts::default();
        user.add_text(&prompt, "", Map::new());
        for (index, data) in self.images.unwrap_or_default().into_iter().enumerate() {
            user.add_image(image(data, &format!("images[{index}]"))?, Map::new());
        }
        let system = self.system.filter(|system| !system.is_empty());
        let mut messages: Vec<Message> =
            system.map(|text| Message::new(Role::System, text)).into_iter().collect();
        messages.push(user.into_message(Role::User));
        let task = TextTask {
            response_format: response_format(self.format)?,
            reasoning: effort(self.think.as_ref())?,
            top_logprobs: top_logprobs(self.logprobs, self.top_logprobs, "top_logprobs")?,
            raw,
            ..TextTask::new(messages, sampling(&self.options.unwrap_or_default())?)
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
            extra: Extra::new(ClientDialect::Ollama, Map::new()),
            ..Generation::new(Some(ModelId::new(id)), task)
        })
    }

    fn refuse_what_is_not_done(&self) -> Result<(), ApiError> {
        let is_given = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
        if is_given(&self.template) {
            let message = "the model's own chat template is used; leave template out, or send the whole prompt with raw";
            return Err(ApiError::invalid("template", message));
        }
        if self.context.as_ref().is_some_and(|context| !context.is_empty()) {
            let message =
                "the tokens of an earlier answer aren't continued; send the conversation to /api/chat";
            return Err(ApiError::invalid("context", message));
        }
        let has_images = self.images.as_ref().is_some_and(|images| !images.is_empty());
        let is_raw = self.raw.unwrap_or(false) || is_given(&self.suffix);
        for (name, given) in [("system", is_given(&self.system)), ("images", has_images)] {
            if is_raw && given {
                let message = format!(
                    "{name} has no place in a prompt that is sent as it is (raw) or that has a gap (suffix)"
                );
                return Err(ApiError::invalid(name, message));
            }
        }
        Ok(())
    }
}
