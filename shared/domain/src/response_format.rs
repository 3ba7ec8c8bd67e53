//! The form that an answer must have.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The form that an answer must have.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResponseFormat {
    /// Any text.
    #[default]
    Text,
    /// A JSON object.
    JsonObject,
    /// JSON that fits this JSON Schema.
    JsonSchema(Value),
}

/// Enforcement of an answer's JSON Schema, and result of its validation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Structured {
    /// Means of enforcement.
    pub enforced: Enforcement,
    /// Keywords of the schema that the grammar enforces incompletely or not at all; only the validation covers them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub relaxed: Vec<String>,
    /// True if the answer matches the whole schema.
    pub valid: bool,
    /// Number of answers generated until this one.
    pub attempts: u32,
    /// First reasons why the answer doesn't match.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<String>,
}

/// Means of enforcing a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Enforcement {
    /// A grammar allows matching tokens alone.
    #[serde(rename = "grammar")]
    Grammar,
    /// A grammar enforces part of the schema, and the whole answer is validated.
    #[serde(rename = "grammar+validated")]
    GrammarAndValidated,
    /// The provider was asked to enforce the schema, and the whole answer is validated.
    #[serde(rename = "provider+validated")]
    ProviderAndValidated,
    /// The model was asked to follow the schema, and the whole answer is validated.
    #[serde(rename = "requested+validated")]
    RequestedAndValidated,
}

/// Name, description and strictness of a client's JSON Schema.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SchemaLabel {
    /// Name of the schema.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Purpose of the schema, for the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// True if the answer must match. `None` if the client's dialect has a default or no such field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
}

impl SchemaLabel {
    /// Returns whether every field is absent.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
