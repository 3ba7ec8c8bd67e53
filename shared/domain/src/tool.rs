//! Tools that a model may call, and its calls.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A function that the client offers to the model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tool {
    /// What the model writes to call it.
    pub name: String,
    /// What it does, for the model.
    pub description: Option<String>,
    /// The JSON Schema of its arguments, an object.
    pub parameters: Value,
    /// Whether the arguments must fit the schema whenever the model chooses to call it.
    #[serde(default)]
    pub strict: bool,
}

/// Whether the model calls a tool.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolChoice {
    /// As it sees fit.
    #[default]
    Auto,
    /// Never: the tools aren't shown to it.
    None,
    /// At least one.
    Required,
    /// The one of this name.
    Named(String),
}

/// A call of a tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolCall {
    /// What its result is given back under.
    pub id: String,
    /// The tool's name.
    pub name: String,
    /// The arguments, a JSON text.
    pub arguments: String,
}
