//! Hearth's own options of a request: the same fields, at the top level of the body, in every dialect.
//!
//! A request struct embeds [`RunOptions`] with `#[serde(flatten)]`, before the map of unknown fields, so that no option
//! reaches a provider as an unknown field. The native request refuses unknown fields, which `flatten` can't: it lists
//! the options itself and converts them.

use hearth_domain::{
    Generation, OnDisconnect, Prefer, Priority, Rate, Route, SelectionMode, StructuredOptions, Task,
    WhileLoading,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use serde_json::{Map, Value};
use serde_path_to_error::Track;
use utoipa::ToSchema;

use crate::{
    ApiError,
    deadline::{Deadline, home_wait},
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
    #[schema(value_type = Option<Object>, example = json!({"models": ["tiny-chat"]}))]
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
    #[schema(value_type = Option<Object>, example = 60)]
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
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(untagged, expecting = "expected false, or an object such as {\"models\": [\"tiny-chat\"]}")]
pub enum Fallback {
    /// `false`: none.
    None(bool),
    /// These.
    Models(FallbackModels),
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
mod tests {
    use hearth_domain::{EmbeddingTask, ImageTask, Message, Role, Sampling, TextTask};
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Request {
        #[expect(dead_code, reason = "only parsed")]
        model: String,
        #[serde(flatten)]
        options: RunOptions,
        #[serde(flatten)]
        sampling: SamplingOptions,
        #[serde(flatten)]
        extra: Map<String, Value>,
    }

    fn options(json: Value) -> RunOptions {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn options_are_no_unknown_fields() {
        let body = json!({
            "model": "m", "other": 1, "on_disconnect": "continue", "whileLoading": "default", "priority": null,
            "fallback": false, "resume": true, "selectionMode": "free_only", "top_k": 3, "ignore_eos": true,
            "prefer": "home", "deadline": 5, "maxPrice": 0.6, "maxAttempts": 2, "allow_relaxed": true,
            "bypassValidation": false,
        });
        let request: Request = serde_json::from_value(body).unwrap();
        assert_eq!(Value::Object(request.extra), json!({"other": 1}));
        let expected = RunOptions {
            on_disconnect: Some(OnDisconnect::Continue),
            while_loading: Some(WhileLoading::Default),
            priority: None,
            fallback: Some(Fallback::None(false)),
            resume: Some(true),
            selection_mode: Some(SelectionMode::FreeOnly),
            prefer: Some(Prefer::Home),
            deadline: Some(Deadline::Seconds(5.0)),
            max_price: "0.6".parse().ok(),
            schema_id: None,
            template_id: None,
            variables: None,
            max_attempts: Some(2),
            allow_relaxed: Some(true),
            bypass_validation: Some(false),
        };
        assert_eq!(request.options, expected);
        assert_eq!((request.sampling.top_k, request.sampling.ignore_eos), (Some(3), Some(true)));
    }

    #[test]
    fn an_error_names_the_option() {
        for (name, value) in [
            ("on_disconnect", json!("stay")),
            ("whileLoading", json!(1)),
            ("priority", json!("urgent")),
            ("fallback", json!(["a"])),
            ("resume", json!("yes")),
            ("selection_mode", json!("cheap")),
            ("prefer", json!("cloud")),
            ("deadline", json!("soon")),
            ("max_price", json!(-1)),
            ("schema_id", json!(1)),
            ("variables", json!([])),
            ("max_attempts", json!("many")),
            ("allowRelaxed", json!(1)),
            ("bypass_validation", json!("no")),
            ("min_p", json!("a")),
        ] {
            let text = json!({"model": "m", name: value}).to_string();
            let error = serde_json::from_str::<Request>(&text).unwrap_err().to_string();
            let (option, problem) = option_error(&error).unwrap();
            assert_eq!(option, name);
            assert!(problem.contains("expected"), "{error}");
        }
        let other = serde_json::from_str::<Request>("{\"model\": 1}").unwrap_err().to_string();
        assert_eq!(option_error(&other), None);
    }

    #[test]
    fn an_option_that_the_task_cannot_obey_is_refused() {
        let vectors = || Generation::new(None, EmbeddingTask { inputs: Vec::new(), dimensions: None });
        let image = || Generation::new(None, ImageTask::new("a fox"));
        let text = || {
            let messages = vec![Message::new(Role::User, "Hi")];
            Generation::new(None, TextTask::new(messages, Sampling::default()))
        };
        let refused = |body: Value, generation| options(body).apply(generation).unwrap_err().param;
        assert_eq!(refused(json!({"resume": true}), vectors()).as_deref(), Some("resume"));
        assert_eq!(refused(json!({"resume": true}), image()).as_deref(), Some("resume"));
        assert_eq!(
            refused(json!({"on_disconnect": "continue"}), vectors()).as_deref(),
            Some("on_disconnect")
        );
        for seconds in [0, OnDisconnect::CONTINUE_FOR_MAX_SECONDS + 1] {
            let param = refused(json!({"on_disconnect": {"continue_for": seconds}}), text());
            assert_eq!(param.as_deref(), Some("on_disconnect.continue_for"), "{seconds}");
        }
        assert_eq!(refused(json!({"fallback": true}), text()).as_deref(), Some("fallback"));
        for attempts in [0, StructuredOptions::ATTEMPTS_MAX_COUNT + 1] {
            let param = refused(json!({"max_attempts": attempts}), text());
            assert_eq!(param.as_deref(), Some("max_attempts"), "{attempts}");
        }
        assert_eq!(refused(json!({"allow_relaxed": true}), vectors()).as_deref(), Some("allow_relaxed"));
        assert_eq!(refused(json!({"max_attempts": 2}), image()).as_deref(), Some("max_attempts"));
        assert_eq!(refused(json!({"max_price": 1}), image()).as_deref(), Some("max_price"));
        assert_eq!(refused(json!({"deadline": 5}), text()).as_deref(), Some("deadline"));
        let many = json!({"fallback": {"models": vec!["m"; FALLBACKS_MAX_COUNT + 1]}});
        assert_eq!(refused(many, text()).as_deref(), Some("fallback.models"));
        for generation in [vectors(), image()] {
            let harmless = json!({"resume": false, "on_disconnect": "cancel"});
            assert!(options(harmless).apply(generation).is_ok());
        }
        assert!(options(json!({"resume": true})).apply(text()).unwrap().route.resume);
    }

    /// A conversion of a dialect's request to a generation.
    type Convert = fn(Value) -> Generation;

    fn parse<T: serde::de::DeserializeOwned>(body: Value) -> T {
        serde_json::from_value(body).unwrap()
    }

    /// Every dialect's route, with a request and its conversion.
    fn routes() -> Vec<(&'static str, Value, Convert)> {
        use crate::{anthropic, gemini, native, ollama, openai};
        let messages = json!([{"role": "user", "content": "Hi"}]);
        let contents = json!([{"parts": [{"text": "Hi"}]}]);
        vec![
            ("generate", json!({"input": {"prompt": "Hi"}}), |body| {
                parse::<native::request::GenerateRequest>(body).into_generation().unwrap()
            }),
            ("chat", json!({"model": "m", "messages": messages}), |body| {
                parse::<openai::chat::ChatRequest>(body).into_generation().unwrap()
            }),
            ("completions", json!({"model": "m", "prompt": "Hi"}), |body| {
                let request: openai::completions::CompletionRequest = parse(body);
                request.into_generations(hearth_domain::RunId::new()).unwrap().remove(0).0
            }),
            ("responses", json!({"model": "m", "input": "Hi"}), |body| {
                parse::<openai::responses::ResponsesRequest>(body).into_turn(Vec::new()).unwrap().generation
            }),
            ("messages", json!({"model": "m", "max_tokens": 9, "messages": messages}), |body| {
                parse::<anthropic::MessagesRequest>(body).into_generation().unwrap()
            }),
            ("embeddings", json!({"model": "m", "input": "Hi"}), |body| {
                parse::<openai::embeddings::EmbeddingRequest>(body).into_generation().unwrap()
            }),
            ("images", json!({"model": "m", "prompt": "a fox"}), |body| {
                parse::<openai::images::ImageRequest>(body).into_generation().unwrap()
            }),
            ("api/chat", json!({"model": "m", "messages": messages}), |body| {
                parse::<ollama::OllamaChatRequest>(body).into_generation("m".into()).unwrap()
            }),
            ("api/generate", json!({"model": "m", "prompt": "Hi"}), |body| {
                parse::<ollama::OllamaGenerateRequest>(body).into_generation("m".into()).unwrap()
            }),
            ("api/embed", json!({"model": "m", "input": "Hi"}), |body| {
                parse::<ollama::OllamaEmbedRequest>(body).into_generation("m".into()).unwrap().unwrap()
            }),
            ("api/embeddings", json!({"model": "m", "prompt": "Hi"}), |body| {
                parse::<ollama::OllamaEmbeddingRequest>(body).into_generation("m".into()).unwrap().unwrap()
            }),
            ("generateContent", json!({"contents": contents}), |body| {
                parse::<gemini::GenerateContentRequest>(body).into_generation("m".into()).unwrap()
            }),
            ("embedContent", json!({"content": contents[0]}), |body| {
                parse::<gemini::EmbedContentRequest>(body).into_generation("m".into()).unwrap()
            }),
            ("batchEmbedContents", json!({"requests": [{"content": contents[0]}]}), |body| {
                parse::<gemini::BatchEmbedContentsRequest>(body).into_generation("m".into()).unwrap()
            }),
        ]
    }

    #[test]
    fn every_option_reaches_the_generation_in_every_dialect() {
        for (route, body, convert) in routes() {
            let with = |options: Value| {
                let mut body = body.clone();
                body.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
                convert(body)
            };
            let of = with(json!({
                "while_loading": "default", "priority": "high", "selection_mode": "free_only",
                "fallback": {"models": ["other"]}, "prefer": "home", "deadline": 60,
            }));
            assert_eq!((of.while_loading, of.priority), (WhileLoading::Default, Priority::High), "{route}");
            assert_eq!(of.route.mode, SelectionMode::FreeOnly, "{route}");
            assert_eq!(of.route.fallbacks, Some(vec!["other".to_owned()]), "{route}");
            assert!(of.route.home.is_some_and(|wait| wait.until.is_some()), "{route}");
            if !matches!(of.task, Task::Image(_)) {
                assert_eq!(with(json!({"max_price": 0.6})).route.max_price, "0.6".parse().ok(), "{route}");
            }
            let is_text = matches!(of.task, Task::Text(_));
            if is_text {
                let of = with(json!({"on_disconnect": {"continue_for": 60}}));
                assert_eq!(of.on_disconnect, OnDisconnect::ContinueFor(60), "{route}");
                let of = with(json!({"resume": true, "on_disconnect": "continue"}));
                assert_eq!((of.route.resume, of.on_disconnect), (true, OnDisconnect::Continue), "{route}");
            }
            let of = with(json!({}));
            assert_eq!((of.route.home, of.route.max_price), (None, None), "{route}");
            assert_eq!((of.while_loading, of.priority), (WhileLoading::Wait, Priority::Normal), "{route}");
        }
    }

    #[test]
    fn the_provider_of_a_route_stays() {
        let generation = Generation::new(None, ImageTask::new("a fox"));
        let route = Route { provider: Some("rig".into()), ..Route::default() };
        let applied = options(json!({"selection_mode": "model"})).apply(Generation { route, ..generation });
        let route = applied.unwrap().route;
        assert_eq!((route.provider.as_deref(), route.mode), (Some("rig"), SelectionMode::Model));
    }
}
