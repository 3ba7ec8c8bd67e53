//! The fields `thinking`, `output_config` and `output_format`.

use hearth_domain::{ReasoningEffort, ResponseFormat};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::{
    ApiError,
    required::{missing, required},
};

/// Smallest reasoning budget, in tokens.
const MIN_BUDGET_TOKENS: u32 = 1024;

/// Reasoning options. They are passed on unchanged to a provider of this dialect.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
pub struct MessagesThinking {
    /// `enabled`, `disabled` or `adaptive`.
    #[serde(rename = "type")]
    #[schema(example = "enabled")]
    pub kind: String,
    /// Of `enabled`: reasoning budget in tokens, at least 1024 and less than `max_tokens`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget_tokens: Option<u32>,
    /// Unknown fields, for a provider of this dialect.
    #[serde(flatten)]
    #[schema(ignore)]
    pub other: Map<String, Value>,
}

impl MessagesThinking {
    /// Converts the options. `effort` is that of `output_config`, which applies to `adaptive` reasoning.
    ///
    /// # Errors
    /// `invalid_request` for a missing budget or one out of range.
    pub(super) fn effort(
        &self,
        max_tokens: u32,
        effort: Option<&str>,
    ) -> Result<Option<ReasoningEffort>, ApiError> {
        match self.kind.as_str() {
            "enabled" => {
                let param = "thinking.budget_tokens";
                match self.budget_tokens {
                    None => Err(missing(param.to_owned())),
                    Some(..MIN_BUDGET_TOKENS) => {
                        Err(ApiError::invalid(param, format!("{param} must be at least {MIN_BUDGET_TOKENS}")))
                    }
                    Some(budget) if budget >= max_tokens => {
                        Err(ApiError::invalid(param, format!("{param} must be less than max_tokens")))
                    }
                    Some(budget) => Ok(Some(ReasoningEffort::Tokens(budget))),
                }
            }
            "disabled" => Ok(Some(ReasoningEffort::None)),
            _ => Ok(effort.and_then(|word| match word {
                "low" => Some(ReasoningEffort::Low),
                "medium" => Some(ReasoningEffort::Medium),
                "high" | "xhigh" | "max" => Some(ReasoningEffort::High),
                _ => None,
            })),
        }
    }
}

/// Options of the answer.
#[derive(Debug, Clone, Default, Deserialize, Serialize, ToSchema)]
pub struct MessagesOutputConfig {
    /// Format of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<MessagesFormat>,
    /// Reasoning effort: `low`, `medium`, `high`, `xhigh` or `max`, with `adaptive` thinking.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effort: Option<String>,
    /// Unknown fields, for a provider of this dialect.
    #[serde(flatten)]
    #[schema(ignore)]
    pub other: Map<String, Value>,
}

/// Format of the answer.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
pub struct MessagesFormat {
    /// `json_schema`.
    #[serde(rename = "type")]
    #[schema(example = "json_schema")]
    pub kind: String,
    /// The JSON Schema.
    #[schema(value_type = Object, required = true)]
    pub schema: Option<Value>,
}

impl MessagesFormat {
    /// Converts the format. `param` is its field, for the error.
    ///
    /// # Errors
    /// `invalid_request` for another format.
    pub(super) fn into_domain(self, param: &str) -> Result<ResponseFormat, ApiError> {
        if self.kind != "json_schema" {
            let param = format!("{param}.type");
            let message = format!("{param} must be json_schema");
            return Err(ApiError::invalid(param, message));
        }
        required(self.schema, param, "schema").map(ResponseFormat::JsonSchema)
    }
}
