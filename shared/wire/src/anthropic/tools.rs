//! Tools, as Anthropic writes them.

use hearth_domain::{Tool, ToolChoice};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::ApiError;

/// A tool on offer.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
pub struct MessagesTool {
    /// `custom`, which may be left out. Tools that Anthropic runs itself are refused.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    #[schema(example = "custom")]
    pub kind: Option<String>,
    /// Its name: 1 to 64 letters, digits, underscores, dots and dashes.
    #[schema(example = "get_weather")]
    pub name: String,
    /// What it does, for the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// A JSON Schema of its arguments.
    #[schema(value_type = Object, required = true)]
    pub input_schema: Option<Value>,
    /// Whether the arguments must fit the schema.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
    /// Asks a provider of this dialect to keep what it has computed up to here.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub cache_control: Option<Value>,
}

impl MessagesTool {
    /// The tool without its dialect. `param` is where it stood, for the error.
    ///
    /// # Errors
    /// `invalid_request` for a tool that the client doesn't run itself.
    pub(super) fn into_domain(self, param: &str) -> Result<Tool, ApiError> {
        if let Some(kind) = self.kind.filter(|kind| kind != "custom") {
            let message = format!("a tool of type {kind:?} was given; the gateway takes custom tools only");
            return Err(ApiError::invalid(format!("{param}.type"), message));
        }
        let Some(parameters) = self.input_schema else {
            let param = format!("{param}.input_schema");
            let message = format!("{param} is missing; send the JSON Schema of the tool's arguments");
            return Err(ApiError::invalid(param, message));
        };
        let strict = self.strict.unwrap_or(false);
        Ok(Tool { name: self.name, description: self.description, parameters, strict })
    }
}

/// Each tool without its dialect.
pub(super) fn tools(tools: Option<Vec<MessagesTool>>) -> Result<Vec<Tool>, ApiError> {
    let tools = tools.into_iter().flatten().enumerate();
    tools.map(|(index, tool)| tool.into_domain(&format!("tools[{index}]"))).collect()
}

/// Whether a tool is called.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
pub struct MessagesToolChoice {
    /// `auto`, `any`, `tool` or `none`.
    #[serde(rename = "type")]
    #[schema(example = "auto")]
    pub kind: String,
    /// Of `tool`: which.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whether one turn calls one tool at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disable_parallel_tool_use: Option<bool>,
}

impl MessagesToolChoice {
    /// The choice without its dialect, and whether one turn may call several tools.
    ///
    /// # Errors
    /// `invalid_request` for a choice of another kind.
    pub(super) fn into_domain(self) -> Result<(ToolChoice, bool), ApiError> {
        let choice = match (self.kind.as_str(), self.name) {
            ("auto", _) => ToolChoice::Auto,
            ("any", _) => ToolChoice::Required,
            ("none", _) => ToolChoice::None,
            ("tool", Some(name)) => ToolChoice::Named(name),
            ("tool", None) => {
                return Err(ApiError::invalid("tool_choice.name", "tool_choice.name is missing"));
            }
            _ => {
                let message = "tool_choice.type must be auto, any, tool or none";
                return Err(ApiError::invalid("tool_choice.type", message));
            }
        };
        Ok((choice, !self.disable_parallel_tool_use.unwrap_or(false)))
    }
}
