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
