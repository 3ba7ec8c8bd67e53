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

/// How an answer's JSON Schema was enforced, and whether the answer fits it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Structured {
    /// What held the answer to the schema.
    pub enforced: Enforcement,
    /// The keywords of the schema that the grammar doesn't enforce, wholly or at some place; only the check at the
    /// end does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub relaxed: Vec<String>,
    /// Whether the answer fits the whole schema.
    pub valid: bool,
    /// How many answers were generated until this one.
    pub attempts: u32,
    /// The first reasons why it doesn't fit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<String>,
}

/// What holds an answer to its schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Enforcement {
    /// A grammar allows no other tokens.
    #[serde(rename = "grammar")]
    Grammar,
    /// A grammar does in part, and the answer is checked at its end.
    #[serde(rename = "grammar+validated")]
    GrammarAndValidated,
    /// The provider was asked to enforce the schema, and the answer is checked at its end.
    #[serde(rename = "provider+validated")]
    ProviderAndValidated,
    /// The model was asked to keep to the schema, and the answer is checked at its end.
    #[serde(rename = "requested+validated")]
    RequestedAndValidated,
}

/// What a client says of its JSON Schema beside the schema.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SchemaLabel {
    /// What the schema is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it is for, for the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether the answer must fit it. `None`: the client's dialect has a default, or no word for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
}

impl SchemaLabel {
    /// Whether nothing is said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
