//! The form of an answer, as OpenAI writes it. The native dialect writes it the same.

use hearth_domain::{ResponseFormat, SchemaLabel};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::ApiError;

/// The form that an answer must have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ResponseFormatBody {
    /// `text`, `json_object` or `json_schema`.
    #[serde(rename = "type")]
    #[schema(value_type = String, example = "json_schema")]
    pub kind: ResponseFormatKind,
    /// The schema, for `json_schema`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub json_schema: Option<JsonSchemaBody>,
}

/// Which form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResponseFormatKind {
    /// Any text.
    Text,
    /// A JSON object.
    JsonObject,
    /// JSON that fits a schema.
    JsonSchema,
}

/// A JSON Schema with a name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct JsonSchemaBody {
    /// What it is called. A provider of this dialect is told it.
    pub name: Option<String>,
    /// What it is for, for the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The JSON Schema.
    #[schema(value_type = Object)]
    pub schema: Value,
    /// Whether the answer must fit. A local model's answer always does.
    pub strict: Option<bool>,
}

impl ResponseFormatBody {
    /// The form without its dialect, and what is said of its schema. `param` is where it stood, for the error.
    ///
    /// # Errors
    /// `invalid_request` if the schema is missing.
    pub fn into_domain(self, param: &str) -> Result<(ResponseFormat, SchemaLabel), ApiError> {
        match (self.kind, self.json_schema) {
            (ResponseFormatKind::Text, _) => Ok((ResponseFormat::Text, SchemaLabel::default())),
            (ResponseFormatKind::JsonObject, _) => Ok((ResponseFormat::JsonObject, SchemaLabel::default())),
            (ResponseFormatKind::JsonSchema, Some(body)) => {
                let JsonSchemaBody { name, description, schema, strict } = body;
                Ok((ResponseFormat::JsonSchema(schema), SchemaLabel { name, description, strict }))
            }
            (ResponseFormatKind::JsonSchema, None) => {
                let param = format!("{param}.json_schema");
                let message = format!("{param} is missing; send the schema, or ask for json_object");
                Err(ApiError::invalid(param, message))
            }
        }
    }
}
