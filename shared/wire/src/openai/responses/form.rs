//! The form of the answer's text, and how much is thought before it.

use hearth_domain::{ResponseFormat, SchemaLabel};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::{ApiError, openai::format::ResponseFormatKind};

/// The answer's text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TextBody {
    /// Its form; any text, if it is absent.
    #[serde(default)]
    pub format: Option<TextFormat>,
    /// How much to say: `low`, `medium` or `high`. For a provider of this dialect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verbosity: Option<String>,
}

impl Default for TextBody {
    fn default() -> Self {
        Self { format: Some(TextFormat::default()), verbosity: None }
    }
}

/// The form of an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TextFormat {
    /// `text`, `json_object` or `json_schema`.
    #[serde(rename = "type")]
    #[schema(value_type = String, example = "json_schema")]
    pub kind: ResponseFormatKind,
    /// What the schema is called. A provider of this dialect is told it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What the schema is for, for the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The JSON Schema, for `json_schema`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub schema: Option<Value>,
    /// Whether the answer must fit. A local model's answer always does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
}

impl Default for TextFormat {
    fn default() -> Self {
        Self { kind: ResponseFormatKind::Text, name: None, description: None, schema: None, strict: None }
    }
}

/// How much to think.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct ReasoningBody {
    /// `none`, `minimal`, `low`, `medium` or `high`.
    pub effort: Option<String>,
    /// `auto`, `concise` or `detailed`: tell the thoughts as a summary. Absent: as they are.
    pub summary: Option<String>,
}

impl TextFormat {
    /// The form without its dialect.
    ///
    /// # Errors
    /// `invalid_request` for a form without its schema.
    pub(super) fn into_domain(self) -> Result<(ResponseFormat, SchemaLabel), ApiError> {
        match (self.kind, self.schema) {
            (ResponseFormatKind::Text, _) => Ok((ResponseFormat::Text, SchemaLabel::default())),
            (ResponseFormatKind::JsonObject, _) => Ok((ResponseFormat::JsonObject, SchemaLabel::default())),
            (ResponseFormatKind::JsonSchema, Some(schema)) => {
                let label =
                    SchemaLabel { name: self.name, description: self.description, strict: self.strict };
                Ok((ResponseFormat::JsonSchema(schema), label))
            }
            (ResponseFormatKind::JsonSchema, None) => {
                let param = "text.format.schema";
                let message = format!("{param} is missing; send the schema, or ask for json_object");
                Err(ApiError::invalid(param, message))
            }
        }
    }
}
