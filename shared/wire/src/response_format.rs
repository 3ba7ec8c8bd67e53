//! The field `response_format` in OpenAI's chat format, which the native dialect uses too.

use hearth_domain::{ResponseFormat, SchemaLabel};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::ApiError;

/// Format of the answer.
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

/// Kind of format.
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
    /// Name of the schema, for a provider of this dialect.
    pub name: Option<String>,
    /// Description of the schema, for the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The JSON Schema.
    #[schema(value_type = Object)]
    pub schema: Value,
    /// If true, a provider must enforce the schema. A local model's answer always fits it.
    pub strict: Option<bool>,
}

impl ResponseFormatBody {
    /// Converts the format and the schema's label. `param` is the format's field, for the error.
    ///
    /// # Errors
    /// `invalid_request` if the schema is missing.
    pub fn into_domain(self, param: &str) -> Result<(ResponseFormat, SchemaLabel), ApiError> {
        let schema = self.json_schema.map(|JsonSchemaBody { name, description, schema, strict }| {
            (schema, SchemaLabel { name, description, strict })
        });
        response_format(self.kind, schema, &format!("{param}.json_schema"))
    }
}

/// Combines a kind of format and a schema. `schema_param` is the schema's field, for the error.
///
/// # Errors
/// `invalid_request` if the schema is missing.
pub(crate) fn response_format(
    kind: ResponseFormatKind,
    schema: Option<(Value, SchemaLabel)>,
    schema_param: &str,
) -> Result<(ResponseFormat, SchemaLabel), ApiError> {
    match (kind, schema) {
        (ResponseFormatKind::Text, _) => Ok((ResponseFormat::Text, SchemaLabel::default())),
        (ResponseFormatKind::JsonObject, _) => Ok((ResponseFormat::JsonObject, SchemaLabel::default())),
        (ResponseFormatKind::JsonSchema, Some((schema, label))) => {
            Ok((ResponseFormat::JsonSchema(schema), label))
        }
        (ResponseFormatKind::JsonSchema, None) => {
            let message = format!("{schema_param} is missing; send the schema, or use json_object");
            Err(ApiError::invalid(schema_param, message))
        }
    }
}
