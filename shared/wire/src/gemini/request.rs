//! What is asked.

use hearth_domain::{
    ClientDialect, Extra, Field, Generation, Message, ModelId, OnDisconnect, Priority, Route, RunId,
    SelectionMode, TextTask, WhileLoading,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::{
    GeminiConfig, GeminiContent, GeminiTool, GeminiToolConfig, Renderer, conversation::conversation,
    proto_json::one_or_many, tools::Offer,
};
use crate::{ApiError, native::fallback::Fallback, passed_on::unknown_fields};

/// A request as Google's SDKs send it. Names may also be in `snake_case`. Unknown fields are passed on to a provider of
/// this dialect.
#[derive(Debug, Clone, Default, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct GenerateContentRequest {
    /// The conversation, oldest first.
    #[serde(deserialize_with = "one_or_many")]
    #[schema(required = true)]
    pub contents: Vec<GeminiContent>,
    /// Instructions: texts.
    #[serde(alias = "system_instruction")]
    pub system_instruction: Option<GeminiContent>,
    /// Tools that the model may call.
    #[serde(deserialize_with = "one_or_many")]
    pub tools: Vec<GeminiTool>,
    /// Whether it calls one. Absent: as it sees fit.
    #[serde(alias = "tool_config")]
    pub tool_config: Option<GeminiToolConfig>,
    /// How the answer is made.
    #[serde(alias = "generation_config")]
    pub generation_config: Option<GeminiConfig>,
    /// What a provider of this dialect holds back; other providers have rules of their own.
    #[serde(alias = "safety_settings")]
    #[schema(value_type = Option<Vec<Object>>)]
    pub safety_settings: Option<Value>,
    /// The name of a prompt that a provider of this dialect keeps; refused elsewhere.
    #[serde(alias = "cached_content")]
    pub cached_content: Option<String>,
    /// The model's name in the path counts.
    #[schema(ignore)]
    pub model: Option<String>,
    /// An extension: `cancel` or `continue`.
    #[serde(rename = "on_disconnect", alias = "onDisconnect")]
    #[schema(value_type = Option<String>)]
    pub on_disconnect: Option<OnDisconnect>,
    /// An extension: while the model is being loaded, `wait`, or let the `default` model answer.
    #[serde(rename = "while_loading", alias = "whileLoading")]
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
    #[serde(rename = "selection_mode", alias = "selectionMode")]
    #[schema(value_type = Option<String>)]
    pub selection_mode: Option<SelectionMode>,
    /// What a provider of this dialect may know.
    #[serde(flatten)]
    #[schema(ignore)]
    pub extra: Map<String, Value>,
}

impl GenerateContentRequest {
    /// What shows the events of the run `id` as this request wants them.
    #[must_use]
    pub fn renderer(&self, id: RunId) -> Renderer {
        let shows_thoughts = self.generation_config.as_ref().is_some_and(GeminiConfig::shows_thoughts);
        Renderer::new(id, shows_thoughts)
    }

    /// The request to `model` without its dialect.
    ///
    /// # Errors
    /// `invalid_request`, naming the field.
    pub fn into_generation(self, model: String) -> Result<Generation, ApiError> {
        let extra = self.passed_on();
        let config = self.generation_config.unwrap_or_default();
        config.refuse_other_modalities()?;
        let (messages, places): (Vec<Message>, Vec<String>) =
            conversation(self.system_instruction, self.contents)?.into_iter().unzip();
        let mut offer = Offer::of(self.tools);
        let tool_choice = offer.choose(self.tool_config.and_then(|config| config.function_calling_config))?;
        let task = TextTask {
            response_format: config.response_format()?,
            tools: offer.tools,
            tool_extra: offer.extra,
            tool_choice,
            choices: config.choices()?,
            top_logprobs: config.top_logprobs()?,
            reasoning: config.reasoning()?,
            ..TextTask::new(messages, config.sampling()?)
        };
        task.check().map_err(|error| {
            let param = param(error.field, &places, &offer.places);
            ApiError::unfit(param, &error)
        })?;
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
            extra: Extra { hosted: offer.hosted, ..unknown_fields(ClientDialect::Gemini, extra)? },
            ..Generation::new(Some(ModelId::new(model)), task)
        })
    }

    /// What a provider of this dialect is given as it is.
    fn passed_on(&self) -> Map<String, Value> {
        let mut extra = self.extra.clone();
        extra.extend(self.safety_settings.clone().map(|settings| ("safetySettings".to_owned(), settings)));
        extra.extend(self.cached_content.as_ref().map(|name| ("cachedContent".to_owned(), json!(name))));
        if let Some(config) =
            self.generation_config.as_ref().map(GeminiConfig::passed_on).filter(|c| !c.is_empty())
        {
            extra.insert("generationConfig".to_owned(), Value::Object(config));
        }
        if let Some(config) =
            self.tool_config.as_ref().map(GeminiToolConfig::passed_on).filter(|c| !c.is_empty())
        {
            extra.insert("toolConfig".to_owned(), Value::Object(config));
        }
        extra
    }
}

impl GeminiToolConfig {
    /// What a provider of this dialect is given as it is. `VALIDATED` is a mode that no other one has.
    fn passed_on(&self) -> Map<String, Value> {
        let mut extra = self.extra.clone();
        let validated = |mode: &String| mode.eq_ignore_ascii_case("VALIDATED");
        if let Some(calling) = &self.function_calling_config
            && calling.mode.as_ref().is_some_and(validated)
        {
            extra.insert("functionCallingConfig".to_owned(), json!(calling));
        }
        extra
    }
}

/// What this dialect calls a field. `places`: where each message's call stood; `tools`: where each function did.
pub(crate) fn param(field: Field, places: &[String], tools: &[String]) -> String {
    let tool = |index: usize| tools.get(index).map_or("tools", String::as_str);
    let name = match field {
        Field::Messages => "contents",
        Field::Sampling(name) => return format!("generationConfig.{}", sampling_name(name)),
        Field::ResponseFormat => "generationConfig.responseMimeType",
        Field::ResponseSchema => "generationConfig.responseJsonSchema",
        Field::Tools => "tools",
        Field::ToolChoice => "toolConfig.functionCallingConfig",
        Field::ToolCallId(index) => places.get(index).map_or("contents", String::as_str),
        Field::ToolName(index) => return format!("{}.name", tool(index)),
        Field::ToolParameters(index) => return format!("{}.parameters", tool(index)),
        Field::Choices => "generationConfig.candidateCount",
        Field::TopLogprobs => "generationConfig.logprobs",
        Field::Inputs | Field::Input(_) => "content",
        Field::Dimensions => "outputDimensionality",
        // This dialect can't say them.
        Field::TemplateKwargs | Field::Media(_) => "contents",
    };
    name.to_owned()
}

fn sampling_name(name: &str) -> &str {
    match name {
        "top_p" => "topP",
        "top_k" => "topK",
        "max_tokens" => "maxOutputTokens",
        "stop" => "stopSequences",
        "presence_penalty" => "presencePenalty",
        "frequency_penalty" => "frequencyPenalty",
        name => name,
    }
}
