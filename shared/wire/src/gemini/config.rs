//! How the answer is made: `GenerationConfig` (<https://ai.google.dev/api/generate-content#generationconfig>).

use hearth_domain::{ReasoningEffort, ResponseFormat, Sampling};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::{
    proto_json::{float, one_or_many_texts, whole},
    schema::to_json_schema,
};
use crate::ApiError;

/// How the answer is made.
#[derive(Debug, Clone, Default, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct GeminiConfig {
    /// 0 to 2.
    #[serde(deserialize_with = "float")]
    pub temperature: Option<f32>,
    /// 0 to 1.
    #[serde(alias = "top_p", deserialize_with = "float")]
    pub top_p: Option<f32>,
    /// 0 keeps all.
    #[serde(alias = "top_k", deserialize_with = "whole")]
    pub top_k: Option<i64>,
    /// The most tokens to generate, at least 1.
    #[serde(alias = "max_output_tokens", deserialize_with = "whole")]
    #[schema(example = 1024)]
    pub max_output_tokens: Option<i64>,
    /// Texts that end the answer.
    #[serde(alias = "stop_sequences", deserialize_with = "one_or_many_texts")]
    pub stop_sequences: Vec<String>,
    /// How many answers to give, 1 to 32.
    #[serde(alias = "candidate_count", deserialize_with = "whole")]
    #[schema(example = 1)]
    pub candidate_count: Option<i64>,
    /// Makes the choice repeatable.
    #[serde(deserialize_with = "whole")]
    pub seed: Option<i64>,
    /// -2 to 2.
    #[serde(alias = "presence_penalty", deserialize_with = "float")]
    pub presence_penalty: Option<f32>,
    /// -2 to 2.
    #[serde(alias = "frequency_penalty", deserialize_with = "float")]
    pub frequency_penalty: Option<f32>,
    /// `text/plain` or `application/json`; a provider of this dialect may take others.
    #[serde(alias = "response_mime_type")]
    #[schema(example = "text/plain")]
    pub response_mime_type: Option<String>,
    /// What the JSON must be, as a `Schema` of Google's.
    #[serde(alias = "response_schema")]
    #[schema(value_type = Option<Object>)]
    pub response_schema: Option<Value>,
    /// The same as a JSON Schema, in place of `responseSchema`.
    #[serde(alias = "response_json_schema", alias = "_responseJsonSchema")]
    #[schema(value_type = Option<Object>)]
    pub response_json_schema: Option<Value>,
    /// Whether to give log-probabilities.
    #[serde(alias = "response_logprobs")]
    pub response_logprobs: Option<bool>,
    /// With `responseLogprobs`: tell this many of the likeliest tokens for each place, 0 to 20.
    #[serde(deserialize_with = "whole")]
    pub logprobs: Option<i64>,
    /// How much to think.
    #[serde(alias = "thinking_config")]
    pub thinking_config: Option<GeminiThinking>,
    /// `TEXT` alone.
    #[serde(alias = "response_modalities", deserialize_with = "one_or_many_texts")]
    pub response_modalities: Vec<String>,
    /// What a provider of this dialect may know.
    #[serde(flatten)]
    #[schema(ignore)]
    pub extra: Map<String, Value>,
}

/// How much to think. A provider of this dialect is given it as it is.
#[derive(Debug, Clone, Default, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct GeminiThinking {
    /// At most this many tokens; 0 for none, -1 for as many as the model sees fit.
    #[serde(alias = "thinking_budget", deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
    pub thinking_budget: Option<i64>,
    /// `MINIMAL`, `LOW`, `MEDIUM` or `HIGH`.
    #[serde(alias = "thinking_level", skip_serializing_if = "Option::is_none")]
    pub thinking_level: Option<String>,
    /// Whether the answer shows the thoughts.
    #[serde(alias = "include_thoughts", skip_serializing_if = "Option::is_none")]
    pub include_thoughts: Option<bool>,
    /// What a provider of this dialect may know.
    #[serde(flatten)]
    #[schema(ignore)]
    pub extra: Map<String, Value>,
}

/// The name of a field of the configuration.
fn field(name: &str) -> String {
    format!("generationConfig.{name}")
}

fn count(value: Option<i64>, name: &str) -> Result<Option<u32>, ApiError> {
    let in_range = |value: i64| {
        u32::try_from(value).map_err(|_| {
            let param = field(name);
            let message = format!("{param} must not be negative, nor above {}", u32::MAX);
            ApiError::invalid(param, message)
        })
    };
    value.map(in_range).transpose()
}

impl GeminiConfig {
    /// Whether the answer shows thoughts.
    pub(super) fn shows_thoughts(&self) -> bool {
        self.thinking_config.as_ref().and_then(|thinking| thinking.include_thoughts).unwrap_or(false)
    }

    /// How to sample, and when to stop.
    ///
    /// # Errors
    /// `invalid_request` for a number that can't be.
    pub(super) fn sampling(&self) -> Result<Sampling, ApiError> {
        Ok(Sampling {
            temperature: self.temperature,
            top_p: self.top_p,
            top_k: count(self.top_k, "topK")?,
            presence_penalty: self.presence_penalty,
            frequency_penalty: self.frequency_penalty,
            stop: self.stop_sequences.clone(),
            // The engine's seeds have 32 bits, as in the other dialects.
            seed: self.seed.map(|seed| (seed & i64::from(u32::MAX)) as u32),
            max_tokens: count(self.max_output_tokens, "maxOutputTokens")?,
            ..Sampling::default()
        })
    }

    /// How many answers to give.
    ///
    /// # Errors
    /// `invalid_request` for a number that can't be.
    pub(super) fn choices(&self) -> Result<u32, ApiError> {
        Ok(count(self.candidate_count, "candidateCount")?.unwrap_or(1))
    }

    /// How many likely tokens to tell; none for no log-probabilities at all.
    ///
    /// # Errors
    /// `invalid_request` for a number that can't be.
    pub(super) fn top_logprobs(&self) -> Result<Option<u32>, ApiError> {
        let top = count(self.logprobs, "logprobs")?;
        Ok(self.response_logprobs.unwrap_or(false).then(|| top.unwrap_or(0)))
    }

    /// How much to think; none where the model decides.
    ///
    /// # Errors
    /// `invalid_request` for a level or a number that can't be.
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
                let budget = count(budget, "thinkingConfig.thinkingBudget")?;
                Ok(budget.map(ReasoningEffort::Tokens))
            }
            (Some(_), _) => {
                let param = field("thinkingConfig.thinkingLevel");
                let message = format!("{param} must be MINIMAL, LOW, MEDIUM or HIGH");
                Err(ApiError::invalid(param, message))
            }
        }
    }

    /// The form of the answer. Another one than text and JSON is for a provider of this dialect.
    ///
    /// # Errors
    /// `invalid_request` for two schemas.
    pub(super) fn response_format(&self) -> Result<ResponseFormat, ApiError> {
        let schema = match (&self.response_json_schema, &self.response_schema) {
            (Some(_), Some(_)) => {
                let param = field("responseSchema");
                let message = format!("{param} and responseJsonSchema say the same; send one of them");
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

    /// Refuses answers that are no text.
    ///
    /// # Errors
    /// `invalid_request`, naming `generationConfig.responseModalities`.
    pub(super) fn refuse_other_modalities(&self) -> Result<(), ApiError> {
        let is_text = |modality: &String| modality.eq_ignore_ascii_case("TEXT");
        if self.response_modalities.iter().all(is_text) {
            return Ok(());
        }
        let param = field("responseModalities");
        let message = format!(
            "{param} must be TEXT: this route answers with text; images are made by /v1/generate and \
             /v1/images/generations"
        );
        Err(ApiError::invalid(param, message))
    }

    /// What a provider of this dialect is given as it is: what the gateway doesn't know, and what it knows only in part.
    pub(super) fn passed_on(&self) -> Map<String, Value> {
        let mut extra = self.extra.clone();
        extra.retain(|_, value| !value.is_null());
        extra.extend(
            self.thinking_config.as_ref().map(|thinking| ("thinkingConfig".to_owned(), json!(thinking))),
        );
        let known = ["", "text/plain", "application/json"];
        if let Some(form) = self.response_mime_type.as_ref().filter(|form| !known.contains(&form.as_str())) {
            extra.insert("responseMimeType".to_owned(), json!(form));
            extra.extend(self.response_schema.clone().map(|schema| ("responseSchema".to_owned(), schema)));
            extra.extend(
                self.response_json_schema.clone().map(|schema| ("responseJsonSchema".to_owned(), schema)),
            );
        }
        extra
    }
}
