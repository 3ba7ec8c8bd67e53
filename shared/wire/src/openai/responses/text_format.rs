//! The field `text`: format of the answer's text.

use hearth_domain::{ResponseFormat, SchemaLabel};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::{
    ApiError,
    response_format::{ResponseFormatKind, response_format},
};

/// Options of the answer's text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TextBody {
    /// Format of the text. Absent: any text.
    #[serde(default)]
    pub format: Option<TextFormat>,
    /// Length of the answer, `low`, `medium` or `high`; for a provider of this dialect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verbosity: Option<String>,
}

impl Default for TextBody {
    fn default() -> Self {
        Self { format: Some(TextFormat::default()), verbosity: None }
    }
}

/// Format of the answer's text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TextFormat {
    /// `text`, `json_object` or `json_schema`.
    #[serde(rename = "type")]
    #[schema(value_type = String, example = "json_schema")]
    pub kind: ResponseFormatKind,
    /// Name of the schema, for a provider of this dialect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Description of the schema, for the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The JSON Schema, for `json_schema`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub schema: Option<Value>,
    /// If true, a provider must enforce the schema. A local model's answer always fits it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
}

impl Default for TextFormat {
    fn default() -> Self {
        Self { kind: ResponseFormatKind::Text, name: None, description: None, schema: None, strict: None }
    }
}

impl TextFormat {
    /// Converts the format.
    ///
    /// # Errors
    /// `invalid_request` if the schema is missing.
    pub(super) fn into_domain(self) -> Result<(ResponseFormat, SchemaLabel), ApiError> {
        let label = SchemaLabel { name: self.name, description: self.description, strict: self.strict };
        response_format(self.kind, self.schema.map(|schema| (schema, label)), "text.format.schema")
    }
}
