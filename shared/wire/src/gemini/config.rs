//! The field `generationConfig` (<https://ai.google.dev/api/generate-content#generationconfig>).

use hearth_domain::{ReasoningEffort, ResponseFormat, Sampling};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::{
    proto_json::{float, integer, one_or_many_texts},
    schema::to_json_schema,
};
use crate::{ApiError, seed::engine_seed};

/// Options of the answer.
#[derive(Debug, Clone, Default, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct GeminiConfig {
    /// Sampling temperature, 0 to 2.
    #[serde(deserialize_with = "float")]
    pub temperature: Option<f32>,
    /// Nucleus sampling: probability mass to choose from, 0 to 1.
    #[serde(alias = "top_p", deserialize_with = "float")]
    pub top_p: Option<f32>,
    /// Number of the most likely tokens to choose from; 0 for all.
    #[serde(alias = "top_k", deserialize_with = "integer")]
    pub top_k: Option<i64>,
    /// Largest number of tokens to generate, at least 1.
    #[serde(alias = "max_output_tokens", deserialize_with = "integer")]
    #[schema(example = 1024)]
    pub max_output_tokens: Option<i64>,
    /// Texts that end the answer.
    #[serde(alias = "stop_sequences", deserialize_with = "one_or_many_texts")]
    pub stop_sequences: Vec<String>,
    /// Number of answers, 1 to 32.
    #[serde(alias = "candidate_count", deserialize_with = "integer")]
    #[schema(example = 1)]
    pub candidate_count: Option<i64>,
    /// Seed for repeatable sampling.
    #[serde(deserialize_with = "integer")]
    pub seed: Option<i64>,
    /// Penalty for tokens that occur already, -2 to 2.
    #[serde(alias = "presence_penalty", deserialize_with = "float")]
    pub presence_penalty: Option<f32>,
    /// Penalty for tokens by their frequency so far, -2 to 2.
    #[serde(alias = "frequency_penalty", deserialize_with = "float")]
    pub frequency_penalty: Option<f32>,
    /// Extension. Smallest probability of a token, relative to the likeliest; 0 to 1.
    #[serde(alias = "min_p", deserialize_with = "float")]
    pub min_p: Option<f32>,
    /// Extension. Factor by which recent tokens become less likely; above 0, at most 2.
    #[serde(alias = "repeat_penalty", deserialize_with = "float")]
    pub repeat_penalty: Option<f32>,
    /// Extension. Whether to generate past the end-of-turn token.
    #[serde(alias = "ignore_eos")]
    pub ignore_eos: Option<bool>,
    /// Format of the answer: `text/plain` or `application/json`; a provider of this dialect may support others.
    #[serde(alias = "response_mime_type")]
    #[schema(example = "text/plain")]
    pub response_mime_type: Option<String>,
    /// Schema of the JSON, in Google's `Schema` format.
    #[serde(alias = "response_schema")]
    #[schema(value_type = Option<Object>)]
    pub response_schema: Option<Value>,
    /// JSON Schema of the JSON, in place of `responseSchema`.
    #[serde(alias = "response_json_schema", alias = "_responseJsonSchema")]
    #[schema(value_type = Option<Object>)]
    pub response_json_schema: Option<Value>,
    /// If true, the answer has the log-probabilities of its tokens.
    #[serde(alias = "response_logprobs")]
    pub response_logprobs: Option<bool>,
    /// With `responseLogprobs`: number of most likely tokens to return for each position, 0 to 20.
    #[serde(deserialize_with = "integer")]
    pub logprobs: Option<i64>,
    /// Reasoning options.
    #[serde(alias = "thinking_config")]
    pub thinking_config: Option<GeminiThinking>,
    /// Must be `TEXT`.
    #[serde(alias = "response_modalities", deserialize_with = "one_or_many_texts")]
    pub response_modalities: Vec<String>,
    /// Unknown fields, for a provider of this dialect.
    #[serde(flatten)]
    #[schema(ignore)]
    pub extra: Map<String, Value>,
}

/// Reasoning options. They are passed on unchanged to a provider of this dialect.
#[derive(Debug, Clone, Default, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct GeminiThinking {
    /// Reasoning budget in tokens; 0 for no reasoning, -1 if the model decides.
    #[serde(
        alias = "thinking_budget",
        deserialize_with = "integer",
        skip_serializing_if = "Option::is_none"
    )]
    pub thinking_budget: Option<i64>,
    /// Reasoning effort: `MINIMAL`, `LOW`, `MEDIUM` or `HIGH`.
    #[serde(alias = "thinking_level", skip_serializing_if = "Option::is_none")]
    pub thinking_level: Option<String>,
    /// If true, the answer contains the reasoning.
    #[serde(alias = "include_thoughts", skip_serializing_if = "Option::is_none")]
    pub include_thoughts: Option<bool>,
    /// Unknown fields, for a provider of this dialect.
    #[serde(flatten)]
    #[schema(ignore)]
    pub extra: Map<String, Value>,
}

/// Returns the whole name of a field of the configuration.
fn config_param(name: &str) -> String {
    format!("generationConfig.{name}")
}

fn to_u32(value: Option<i64>, name: &str) -> Result<Option<u32>, ApiError> {
    let convert = |value: i64| {
        u32::try_from(value).map_err(|_| {
            let param = config_param(name);
            let message = format!("{param} must be 0 to {}", u32::MAX);
            ApiError::invalid(param, message)
        })
    };
    value.map(convert).transpose()
}

impl GeminiConfig {
    /// Returns whether the answer contains reasoning.
    pub(super) fn shows_thoughts(&self) -> bool {
        self.thinking_config.as_ref().and_then(|thinking| thinking.include_thoughts).unwrap_or(false)
    }

    /// Converts the sampling parameters.
    ///
    /// # Errors
    /// `invalid_request` for a number out of range.
    pub(super) fn sampling(&self) -> Result<Sampling, ApiError> {
        Ok(Sampling {
            temperature: self.temperature,
            top_p: self.top_p,
            top_k: to_u32(self.top_k, "topK")?,
            presence_penalty: self.presence_penalty,
            frequency_penalty: self.frequency_penalty,
            min_p: self.min_p,
            repeat_penalty: self.repeat_penalty,
            ignore_eos: self.ignore_eos.unwrap_or(false),
            stop: self.stop_sequences.clone(),
            seed: self.seed.map(engine_seed),
            max_tokens: to_u32(self.max_output_tokens, "maxOutputTokens")?,
            ..Sampling::default()
        })
    }

    /// Number of answers.
    ///
    /// # Errors
    /// `invalid_request` for a number out of range.
    pub(super) fn choices(&self) -> Result<u32, ApiError> {
        Ok(to_u32(self.candidate_count, "candidateCount")?.unwrap_or(1))
    }

    /// Number of most likely tokens to return; `None` for no log-probabilities.
    ///
    /// # Errors
    /// `invalid_request` for a number out of range.
    pub(super) fn top_logprobs(&self) -> Result<Option<u32>, ApiError> {
        let top = to_u32(self.logprobs, "logprobs")?;
        Ok(self.response_logprobs.unwrap_or(false).then(|| top.unwrap_or(0)))
    }

    /// Converts the reasoning options; `None` if the model decides.
    ///
    /// # Errors
    /// `invalid_request` for an unknown level or a number out of range.
    pub(super) fn reasoning(&self) -> Result<Option<ReasoningEffort>, ApiError> {
        let Some(thinking) = &self.thinking_config else { return Ok(None) };
        let level = thinking.thinking_level.as_ref().map(|level| level.to_ascii_uppercase());
        match (level.as_deref(), thinking.thinking_budget) {
            (Some("MINIMAL"), _) => Ok(Some(ReasoningEffort::Minimal)),
            (Some("LOW"), _) => Ok(Some(ReasoningEffort::Low)),
            (Some("MEDIUM"), _) => Ok(Some(ReasoningEffort::Medium)),
            (Some("HIGH"), _) => Ok(Some(ReasoningEffort::High)),
            (None | Some("" | "THINKING_LEVEL_UNSPECIFIED"), None | Some(-1)) => Ok(None),
            (None | Some("" | "THINKING_LEVEL_UNSPECIFIED"), Some(0)) => Ok(Some(ReasoningEffort::None)),
            (None | Some("" | "THINKING_LEVEL_UNSPECIFIED"), budget) => {
                let budget = to_u32(budget, "thinkingConfig.thinkingBudget")?;
                Ok(budget.map(ReasoningEffort::Tokens))
            }
            (Some(_), _) => {
                let param = config_param("thinkingConfig.thinkingLevel");
                let message = format!("{param} must be MINIMAL, LOW, MEDIUM or HIGH");
                Err(ApiError::invalid(param, message))
            }
        }
    }

    /// Converts the format of the answer. Formats other than text and JSON are passed on to a provider of this dialect.
    ///
    /// # Errors
    /// `invalid_request` for two schemas.
    pub(super) fn response_format(&self) -> Result<ResponseFormat, ApiError> {
        let schema = match (&self.response_json_schema, &self.response_schema) {
            (Some(_), Some(_)) => {
                let param = config_param("responseSchema");
                let message = format!("send either {param} or responseJsonSchema, not both");
                return Err(ApiError::invalid(param, message));
            }
            (Some(schema), None) => Some(schema.clone()),
            (None, schema) => schema.clone().map(to_json_schema),
        };
        match self.response_mime_type.as_deref() {
            None | Some("" | "text/plain") if schema.is_none() => Ok(ResponseFormat::Text),
            None | Some("" | "text/plain" | "application/json") => {
                Ok(schema.map_or(ResponseFormat::JsonObject, ResponseFormat::JsonSchema))
            }
            Some(_) => Ok(ResponseFormat::Text),
        }
    }

    /// Refuses modalities other than text.
    ///
    /// # Errors
    /// `invalid_request`, naming `generationConfig.responseModalities`.
    pub(super) fn refuse_other_modalities(&self) -> Result<(), ApiError> {
        let is_text = |modality: &String| modality.eq_ignore_ascii_case("TEXT");
        if self.response_modalities.iter().all(is_text) {
            return Ok(());
        }
        let param = config_param("responseModalities");
        let message = format!("{param} must be TEXT; use /v1/generate or /v1/images/generations for images");
        Err(ApiError::invalid(param, message))
    }

    /// The fields that are passed on to a provider of this dialect: the unknown ones, and those that the gateway supports
    /// only in part.
    pub(super) fn vendor_fields(&self) -> Map<String, Value> {
        let mut extra = self.extra.clone();
        extra.retain(|_, value| !value.is_null());
        extra.extend(
            self.thinking_config.as_ref().map(|thinking| ("thinkingConfig".to_owned(), json!(thinking))),
        );
        let supported = ["", "text/plain", "application/json"];
        let other =
            self.response_mime_type.as_ref().filter(|media_type| !supported.contains(&media_type.as_str()));
        if let Some(media_type) = other {
            extra.insert("responseMimeType".to_owned(), json!(media_type));
            extra.extend(self.response_schema.clone().map(|schema| ("responseSchema".to_owned(), schema)));
            extra.extend(
                self.response_json_schema.clone().map(|schema| ("responseJsonSchema".to_owned(), schema)),
            );
        }
        extra
    }
}
