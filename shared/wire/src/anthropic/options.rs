//! How much to think, and what form the answer has.

use hearth_domain::{ReasoningEffort, ResponseFormat};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::ApiError;

/// The smallest budget for thoughts, in tokens.
const LEAST_BUDGET: u32 = 1024;

/// Whether the model thinks before it answers. A provider of this dialect is given it as it is.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
pub struct MessagesThinking {
    /// `enabled`, `disabled` or `adaptive`.
    #[serde(rename = "type")]
    #[schema(example = "enabled")]
    pub kind: String,
    /// Of `enabled`: how many tokens, at least 1024 and less than `max_tokens`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget_tokens: Option<u32>,
    /// What a provider of this dialect may know.
    #[serde(flatten)]
    #[schema(ignore)]
    pub other: Map<String, Value>,
}

impl MessagesThinking {
    /// How much to think. `effort` is the one that goes with a model's own judgement.
    ///
    /// # Errors
    /// `invalid_request` for a budget that can't be.
    pub(super) fn effort(
        &self,
        max_tokens: u32,
        effort: Option<&str>,
    ) -> Result<Option<ReasoningEffort>, ApiError> {
        match self.kind.as_str() {
            "enabled" => {
                let param = "thinking.budget_tokens";
                match self.budget_tokens {
                    None => Err(ApiError::invalid(param, format!("{param} is missing"))),
                    Some(..LEAST_BUDGET) => {
                        Err(ApiError::invalid(param, format!("{param} must be at least {LEAST_BUDGET}")))
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

/// How the answer is given.
#[derive(Debug, Clone, Default, Deserialize, Serialize, ToSchema)]
pub struct MessagesOutputConfig {
    /// Its form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<MessagesFormat>,
    /// How much work to put in: `low`, `medium`, `high`, `xhigh` or `max`, with `adaptive` thinking.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effort: Option<String>,
    /// What a provider of this dialect may know.
    #[serde(flatten)]
    #[schema(ignore)]
    pub other: Map<String, Value>,
}

/// The form of the answer.
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
    /// The form without its dialect. `param` is where it stood, for the error.
    ///
    /// # Errors
    /// `invalid_request` for another form.
    pub(super) fn into_domain(self, param: &str) -> Result<ResponseFormat, ApiError> {
        if self.kind != "json_schema" {
            let param = format!("{param}.type");
            let message = format!("{param} must be json_schema");
            return Err(ApiError::invalid(param, message));
        }
        self.schema.map(ResponseFormat::JsonSchema).ok_or_else(|| {
            let param = format!("{param}.schema");
            let message = format!("{param} is missing");
            ApiError::invalid(param, message)
        })
    }
}
