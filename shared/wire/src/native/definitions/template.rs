//! Content of a template, and its messages once they are rendered.

use hearth_domain::{Role, SemanticVersion};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// Content of a template.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TemplateContent {
    /// Messages of the prompt, 1 to 20; at most 64 KiB together. System messages come first.
    pub messages: Vec<TemplateMessage>,
    /// JSON Schema of the variables, an object: `required`, `default` and the types of `properties` hold. Absent: each variable
    /// of the messages is required, and may have any value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub variables: Option<Value>,
    /// Schema of the answer: a name or an id, with a version or a label if need be. A request's own schema replaces it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "invoice")]
    pub schema_id: Option<String>,
    /// Model for requests that name none, or `auto`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Parameters for requests that don't have them.
    #[serde(default, skip_serializing_if = "TemplateParameters::is_empty")]
    pub parameters: TemplateParameters,
}

/// Message of a template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TemplateMessage {
    /// `system`, `user` or `assistant`.
    #[schema(example = "user")]
    pub role: Role,
    /// Text in Jinja: `{{ name }}` is replaced by the variable, `{% if %}` and `{% for %}` select and repeat.
    #[schema(example = "Summarise in {{ words }} words: {{ text }}")]
    pub content: String,
}

/// Default parameters of a template.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TemplateParameters {
    /// Temperature, 0 to 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = 0.0)]
    pub temperature: Option<f32>,
    /// Smallest set of likely tokens with this total probability, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f32>,
    /// Number of the likeliest tokens to choose from; 0 keeps all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_k: Option<u32>,
    /// Smallest probability of a token, relative to the likeliest; 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_p: Option<f32>,
    /// Factor by which recent tokens become less likely; above 0, at most 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat_penalty: Option<f32>,
    /// Penalty for tokens that have occurred, -2 to 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub presence_penalty: Option<f32>,
    /// Penalty for each occurrence of a token, -2 to 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frequency_penalty: Option<f32>,
    /// Seed for reproducible results.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u32>,
    /// Texts that end the answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<String>,
    /// Maximum number of tokens to generate, at least 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
}

impl TemplateParameters {
    /// True if none is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Values for a template.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RenderTemplate {
    /// Values of the variables by their names.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub variables: Map<String, Value>,
    /// Version such as `1.2.0`, or a label. Absent: that of the path, or the latest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// Rendered template.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RenderedBody {
    /// Id of the template; of a built-in one its name.
    pub id: String,
    /// Name of the template.
    pub name: String,
    /// Version that was rendered.
    #[schema(value_type = String)]
    pub version: SemanticVersion,
    /// Messages.
    pub messages: Vec<RenderedMessage>,
    /// Schema of the answer, with the version that holds now.
    pub schema_id: Option<String>,
    /// Model for requests that name none.
    pub model: Option<String>,
    /// Parameters for requests that don't have them.
    pub parameters: TemplateParameters,
}

/// Message of a rendered template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RenderedMessage {
    /// `system`, `user` or `assistant`.
    pub role: Role,
    /// Text.
    pub content: String,
}
