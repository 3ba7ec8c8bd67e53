//! Tools that a model may call, and its calls.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A function that the client offers to the model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tool {
    /// Name of the function.
    pub name: String,
    /// Description for the model.
    pub description: Option<String>,
    /// JSON Schema of the arguments, an object.
    pub parameters: Value,
    /// True if the arguments of every call must match the schema.
    #[serde(default)]
    pub strict: bool,
}

/// Tool choice.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolChoice {
    /// The model decides.
    #[default]
    Auto,
    /// No call; the tools aren't shown to the model.
    None,
    /// At least one call.
    Required,
    /// Call of the function with this name.
    Named(String),
}

/// A call of a tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolCall {
    /// Id, which the result refers to.
    pub id: String,
    /// The tool's name.
    pub name: String,
    /// Arguments as JSON text.
    pub arguments: String,
}
