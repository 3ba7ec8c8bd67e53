//! The request of `:generateContent`.

use hearth_domain::{ClientDialect, Extra, Field, Generation, Message, ModelId, RunId, TextTask};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::{
    GeminiConfig, GeminiContent, GeminiRenderer, GeminiTool, GeminiToolConfig,
    conversation::conversation,
    proto_json::one_or_many,
    tools::{apply_function_calling, offered_tools},
};
use crate::{ApiError, run_options::RunOptions, unknown_fields::unknown_fields};

/// A request as Google's SDKs send it. Field names may also be in `snake_case`. Unknown fields are passed on to a provider of
/// this dialect.
#[derive(Debug, Clone, Default, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct GenerateContentRequest {
    /// The conversation, oldest first.
    #[serde(deserialize_with = "one_or_many")]
    #[schema(required = true)]
    pub contents: Vec<GeminiContent>,
    /// Instructions: text parts.
    #[serde(alias = "system_instruction")]
    pub system_instruction: Option<GeminiContent>,
    /// Tools that the model may call.
    #[serde(deserialize_with = "one_or_many")]
    pub tools: Vec<GeminiTool>,
    /// Controls whether the model calls a tool. Absent: the model decides.
    #[serde(alias = "tool_config")]
    pub tool_config: Option<GeminiToolConfig>,
    /// Options of the answer.
    #[serde(alias = "generation_config")]
    pub generation_config: Option<GeminiConfig>,
    /// Safety settings, for a provider of this dialect.
    #[serde(alias = "safety_settings")]
    #[schema(value_type = Option<Vec<Object>>)]
    pub safety_settings: Option<Value>,
    /// Name of a prompt in the cache of a provider of this dialect; refused elsewhere.
    #[serde(alias = "cached_content")]
    pub cached_content: Option<String>,
    /// Ignored: the path names the model.
    #[schema(ignore)]
    pub model: Option<String>,
    /// Options of the gateway.
    #[serde(flatten)]
    pub run_options: RunOptions,
    /// Unknown fields, for a provider of this dialect.
    #[serde(flatten)]
    #[schema(ignore)]
    pub extra: Map<String, Value>,
}

impl GenerateContentRequest {
    /// Creates the renderer of the run `id`.
    #[must_use]
    pub fn renderer(&self, id: RunId) -> GeminiRenderer {
        let shows_thoughts = self.generation_config.as_ref().is_some_and(GeminiConfig::shows_thoughts);
        GeminiRenderer::new(id, shows_thoughts)
    }

    /// Converts the request to `model`.
    ///
    /// # Errors
    /// `invalid_request`, naming the field.
    pub fn into_generation(self, model: String) -> Result<Generation, ApiError> {
        let extra = self.vendor_fields();
        let config = self.generation_config.unwrap_or_default();
        config.refuse_other_modalities()?;
        let (messages, call_params): (Vec<Message>, Vec<String>) =
            conversation(self.system_instruction, self.contents, self.run_options.has_template())?
                .into_iter()
                .unzip();
        let mut offered = offered_tools(self.tools);
        let calling = self.tool_config.and_then(|config| config.function_calling_config);
        let tool_choice = apply_function_calling(&mut offered, calling)?;
        let task = TextTask {
            response_format: config.response_format()?,
            tools: offered.functions,
            tool_extra: offered.extra,
            tool_choice,
            choices: config.choices()?,
            top_logprobs: config.top_logprobs()?,
            reasoning: config.reasoning()?,
            ..TextTask::new(messages, config.sampling()?)
        };
        self.run_options.check_text(&task).map_err(|error| {
            let param = param(error.field, &call_params, &offered.params);
            ApiError::unfit(param, &error)
        })?;
        self.run_options.apply(Generation {
            extra: Extra { hosted: offered.hosted, ..unknown_fields(ClientDialect::Gemini, extra)? },
            ..Generation::new(Some(ModelId::new(model)), task)
        })
    }

    /// The fields that are passed on to a provider of this dialect.
    fn vendor_fields(&self) -> Map<String, Value> {
        let mut extra = self.extra.clone();
        extra.extend(self.safety_settings.clone().map(|settings| ("safetySettings".to_owned(), settings)));
        extra.extend(self.cached_content.as_ref().map(|name| ("cachedContent".to_owned(), json!(name))));
        if let Some(config) =
            self.generation_config.as_ref().map(GeminiConfig::vendor_fields).filter(|c| !c.is_empty())
        {
            extra.insert("generationConfig".to_owned(), Value::Object(config));
        }
        if let Some(config) =
            self.tool_config.as_ref().map(GeminiToolConfig::vendor_fields).filter(|c| !c.is_empty())
        {
            extra.insert("toolConfig".to_owned(), Value::Object(config));
        }
        extra
    }
}

impl GeminiToolConfig {
    /// The fields that are passed on to a provider of this dialect. No other dialect has the mode `VALIDATED`.
    fn vendor_fields(&self) -> Map<String, Value> {
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

/// Returns this dialect's name of a field. `call_params` has the field of each message's call id, `tools` that of each
/// function.
pub(crate) fn param(field: Field, call_params: &[String], tools: &[String]) -> String {
    let tool = |index: usize| tools.get(index).map_or("tools", String::as_str);
    let name = match field {
        Field::Messages => "contents",
        Field::Sampling(name) => return format!("generationConfig.{}", sampling_name(name)),
        Field::ResponseFormat => "generationConfig.responseMimeType",
        Field::ResponseSchema => "generationConfig.responseJsonSchema",
        Field::Tools => "tools",
        Field::ToolChoice => "toolConfig.functionCallingConfig",
        Field::ToolCallId(index) => call_params.get(index).map_or("contents", String::as_str),
        Field::ToolName(index) => return format!("{}.name", tool(index)),
        Field::ToolParameters(index) => return format!("{}.parameters", tool(index)),
        Field::Choices => "generationConfig.candidateCount",
        Field::TopLogprobs => "generationConfig.logprobs",
        Field::Inputs | Field::Input(_) => "content",
        Field::Dimensions => "outputDimensionality",
        // Fields that this dialect lacks.
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
        "min_p" => "minP",
        "repeat_penalty" => "repeatPenalty",
        name => name,
    }
}
