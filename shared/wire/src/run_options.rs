//! Hearth's own options of a request: the same fields, at the top level of the body, in every dialect.
//!
//! A request struct embeds [`RunOptions`] with `#[serde(flatten)]`, before the map of unknown fields, so that no option
//! reaches a provider as an unknown field. The native request refuses unknown fields, which `flatten` can't: it lists
//! the options itself and converts them.

use hearth_domain::{
    Generation, OnDisconnect, Prefer, Priority, Rate, Route, SelectionMode, StructuredOptions, Task,
    WhileLoading,
};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, MapAccess},
};
use serde_json::{Map, Value};
use serde_path_to_error::Track;
use utoipa::ToSchema;

use crate::{
    ApiError,
    deadline::{Deadline, home_wait},
    forms::{self, Forms},
};

/// Maximum number of models in `fallback`.
const FALLBACKS_MAX_COUNT: usize = 16;
/// Start of the message of an error in an option, before the option's name and a backquote.
const OPTION_ERROR: &str = "option `";

/// Options of the gateway for one request. They stand beside the dialect's own fields.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, ToSchema)]
#[serde(remote = "Self")]
pub struct RunOptions {
    /// Extension. `cancel` (the default) stops the run when the client disconnects; `continue` completes it, and its
    /// result can be read later. `{"continue_for": 60}` lets it go on for 60 seconds without a client that reads it; at most
    /// a day. Embeddings allow `cancel` alone.
    #[serde(alias = "onDisconnect")]
    #[schema(example = "cancel")]
    pub on_disconnect: Option<OnDisconnect>,
    /// Extension. While the model is being loaded, `wait` (the default), let the `default` model answer, or the first
    /// `fallback` that is ready.
    #[serde(alias = "whileLoading")]
    #[schema(example = "wait")]
    pub while_loading: Option<WhileLoading>,
    /// Extension. Place among the requests that wait for the same node: `low`, `normal` (the default) or `high`.
    #[schema(example = "normal")]
    pub priority: Option<Priority>,
    /// Extension. Models to try if the first choice can't serve the request, in place of those that the operator has
    /// set: `{"models": [...]}`, or `false` for none.
    #[schema(value_type = Option<Value>, example = json!({"models": ["tiny-chat"]}))]
    pub fallback: Option<Fallback>,
    /// Extension. Whether another model may continue an answer that breaks off. Images, meshes and embeddings allow
    /// `false` alone.
    #[schema(example = false)]
    pub resume: Option<bool>,
    /// Extension. Models that may serve the request: `auto` (the default), `free_only`, `commercial_only`, or `model`
    /// for the one that `model` names and no other.
    #[serde(alias = "selectionMode")]
    #[schema(example = "auto")]
    pub selection_mode: Option<SelectionMode>,
    /// Extension. `home`: the caller's nodes serve the request; it waits for them until `deadline`, and then goes to the
    /// cheapest provider. Absent: it doesn't wait.
    #[schema(example = "home")]
    pub prefer: Option<Prefer>,
    /// Extension. With `prefer`: the end of the wait, in seconds from now or as an RFC 3339 time, at most 24 hours away. Absent:
    /// the time that the operator has set.
    #[schema(value_type = Option<Value>, example = 60)]
    pub deadline: Option<Deadline>,
    /// Extension. Highest price of a provider that may serve the request, in dollars for a million output tokens; of
    /// embeddings, for a million input tokens. A provider whose price isn't known is left out.
    #[serde(alias = "maxPrice")]
    #[schema(value_type = Option<f64>, example = 0.6)]
    pub max_price: Option<Rate>,
    /// Extension. Schema of the answer, in place of one in the request: a name or an id, with a version or a label if need be.
    #[serde(alias = "schemaId")]
    #[schema(example = "invoice@1")]
    pub schema_id: Option<String>,
    /// Extension. Template of the prompt: its messages come before the request's own, which may be left out.
    #[serde(alias = "templateId")]
    #[schema(example = "invoice")]
    pub template_id: Option<String>,
    /// Extension. With `template_id`: the values of its variables.
    #[schema(value_type = Option<Object>, example = json!({"text": "Coffee 3.50"}))]
    pub variables: Option<Map<String, Value>>,
    /// Extension. Largest number of answers that are generated until one fits the JSON Schema, 1 to 5. Each one costs. Absent:
    /// 3 at a node, 1 at a provider. A streamed answer is generated once.
    #[serde(alias = "maxAttempts")]
    #[schema(example = 2)]
    pub max_attempts: Option<u32>,
    /// Extension. True to accept an answer that fits the JSON Schema without its bounds, patterns and required fields, if none
    /// fits the whole schema: `structured.status` is then `relaxed`.
    #[serde(alias = "allowRelaxed")]
    #[schema(example = false)]
    pub allow_relaxed: Option<bool>,
    /// Extension. True to return the answer without validating it against the JSON Schema: `structured.status` is then
    /// `bypassed`.
    #[serde(alias = "bypassValidation")]
    #[schema(example = false)]
    pub bypass_validation: Option<bool>,
}

/// Sampling parameters of local models that a vendor's dialect lacks. They stand beside the dialect's own fields.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, ToSchema)]
#[serde(remote = "Self")]
pub struct SamplingOptions {
    /// Number of the likeliest tokens to choose from; 0 keeps all.
    pub top_k: Option<u32>,
    /// Extension. Smallest probability of a token, relative to the likeliest; 0 to 1.
    pub min_p: Option<f32>,
    /// Extension. Factor by which recent tokens become less likely; above 0, at most 2.
    pub repeat_penalty: Option<f32>,
    /// Extension. Whether to generate past the end-of-turn token.
    pub ignore_eos: Option<bool>,
}

/// Models to try if the first choice can't serve a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(untagged)]
pub enum Fallback {
    /// `false`: none.
    None(bool),
    /// These.
    Models(FallbackModels),
}

impl<'de> Forms<'de> for Fallback {
    const EXPECTED: &'static str = "false, or an object such as {\"models\": [\"tiny-chat\"]}";

    fn from_bool(value: bool) -> Option<Self> {
        Some(Self::None(value))
    }

    fn from_object<A: MapAccess<'de>>(fields: A) -> Result<Self, A::Error> {
        forms::object(fields).map(Self::Models)
    }
}

impl<'de> Deserialize<'de> for Fallback {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        forms::deserialize(deserializer)
    }
}

/// Models to try, in this order.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FallbackModels {
    /// Their names, as in `model`.
    pub models: Vec<String>,
}

impl RunOptions {
    /// Sets the options of `generation`, and keeps the provider and the preferred model of its route.
    ///
    /// # Errors
    /// `invalid_request`, naming the option, for an option that the task can't obey.
    pub(crate) fn apply(mut self, mut generation: Generation) -> Result<Generation, ApiError> {
        generation.definitions = self.take_definitions(&generation.task)?;
        self.apply_structured(&mut generation.task)?;
        let on_disconnect = self.on_disconnect.unwrap_or_default();
        let resume = self.resume.unwrap_or_default();
        if resume && !matches!(generation.task, Task::Text(_)) {
            let message = "resume must be false: only an answer in text can be continued by another model";
            return Err(ApiError::invalid("resume", message));
        }
        if let OnDisconnect::ContinueFor(seconds) = on_disconnect
            && !(1..=OnDisconnect::CONTINUE_FOR_MAX_SECONDS).contains(&seconds)
        {
            let most = OnDisconnect::CONTINUE_FOR_MAX_SECONDS;
            let message = format!("on_disconnect.continue_for must be from 1 to {most} seconds");
            return Err(ApiError::invalid("on_disconnect.continue_for", message));
        }
        if on_disconnect.outlives_client() && matches!(generation.task, Task::Embedding(_)) {
            let message = "on_disconnect must be cancel: vectors are not stored, so they can't be read later";
            return Err(ApiError::invalid("on_disconnect", message));
        }
        if self.max_price.is_some() && !matches!(generation.task, Task::Text(_) | Task::Embedding(_)) {
            let message = "max_price is a price of tokens, which images and meshes don't have: leave it out";
            return Err(ApiError::invalid("max_price", message));
        }
        Ok(Generation {
            on_disconnect,
            while_loading: self.while_loading.unwrap_or_default(),
            priority: self.priority.unwrap_or_default(),
            route: Route {
                mode: self.selection_mode.unwrap_or_default(),
                fallbacks: self.fallback.map(Fallback::into_models).transpose()?,
                resume,
                max_price: self.max_price,
                home: home_wait(self.prefer, self.deadline)?,
                ..generation.route
            },
            ..generation
        })
    }
}

impl RunOptions {
    /// Sets the options of answers with a JSON Schema. Other tasks than texts have none, and obey the defaults alone.
    fn apply_structured(&self, task: &mut Task) -> Result<(), ApiError> {
        const MOST: u32 = StructuredOptions::ATTEMPTS_MAX_COUNT;
        if self.max_attempts.is_some_and(|attempts| !(1..=MOST).contains(&attempts)) {
            return Err(ApiError::invalid("max_attempts", format!("max_attempts must be from 1 to {MOST}")));
        }
        let (allow_relaxed, bypass_validation) =
            (self.allow_relaxed.unwrap_or_default(), self.bypass_validation.unwrap_or_default());
        if let Task::Text(task) = task {
            let max_attempts = self.max_attempts.or(task.structured.max_attempts);
            task.structured = StructuredOptions { max_attempts, allow_relaxed, bypass_validation };
            return Ok(());
        }
        let options = [
            ("max_attempts", self.max_attempts.is_some_and(|attempts| attempts > 1)),
            ("allow_relaxed", allow_relaxed),
            ("bypass_validation", bypass_validation),
        ];
        match options.into_iter().find(|(_, is_set)| *is_set) {
            Some((name, _)) => {
                let message =
                    format!("{name} is for answers with a JSON Schema, which are texts: leave it out");
                Err(ApiError::invalid(name, message))
            }
            None => Ok(()),
        }
    }
}

impl Fallback {
    /// Returns the models' names.
    ///
    /// # Errors
    /// `invalid_request` for `true`, which names none, and for too many.
    fn into_models(self) -> Result<Vec<String>, ApiError> {
        match self {
            Self::None(false) => Ok(Vec::new()),
            Self::None(true) => Err(ApiError::invalid(
                "fallback",
                "fallback must be false or name models, as {\"models\": [...]}",
            )),
            Self::Models(FallbackModels { models }) if models.len() > FALLBACKS_MAX_COUNT => {
                Err(ApiError::invalid(
                    "fallback.models",
                    format!("fallback.models must have at most {FALLBACKS_MAX_COUNT} models"),
                ))
            }
            Self::Models(FallbackModels { models }) => Ok(models),
        }
    }
}

// `serde_path_to_error` can't follow a field into a flattened struct: the struct's own error names it.

impl<'de> Deserialize<'de> for RunOptions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut track = Track::new();
        let tracked = serde_path_to_error::Deserializer::new(deserializer, &mut track);
        Self::deserialize(tracked).map_err(|error| name_option(track, &error))
    }
}

impl Serialize for RunOptions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for SamplingOptions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut track = Track::new();
        let tracked = serde_path_to_error::Deserializer::new(deserializer, &mut track);
        Self::deserialize(tracked).map_err(|error| name_option(track, &error))
    }
}

impl Serialize for SamplingOptions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

fn name_option<E: Error>(track: Track, error: &E) -> E {
    E::custom(format_args!("{OPTION_ERROR}{}`: {error}", track.path()))
}

/// Splits serde's message of an error in an option into the option's name and the problem; `None` for another error.
#[must_use]
pub fn option_error(message: &str) -> Option<(&str, &str)> {
    message.strip_prefix(OPTION_ERROR)?.split_once("`: ")
}

#[cfg(test)]
mod tests;
