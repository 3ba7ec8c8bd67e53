//! Tools as this API writes them: without chat's level between `type` and `name`.

use hearth_domain::{Tool, ToolChoice};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::{ApiError, openai::tools::ToolMode};

/// Where a choice names the tools that are on offer.
pub(super) const ALLOWED: &str = "tool_choice.tools";

/// A tool on offer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ResponsesTool {
    /// `function`; the gateway runs no tools of its own.
    #[serde(rename = "type")]
    #[schema(example = "function")]
    pub kind: String,
    /// The function's name: 1 to 64 letters, digits, underscores, dots and dashes.
    #[schema(value_type = String, required = true, example = "get_weather")]
    pub name: Option<String>,
    /// What it does, for the model.
    pub description: Option<String>,
    /// A JSON Schema of its arguments; absent: it takes none.
    #[schema(value_type = Option<Object>)]
    pub parameters: Option<Value>,
    /// Whether the arguments must fit the schema; they need not, unless this is true.
    pub strict: Option<bool>,
}

impl ResponsesTool {
    /// The tool without its dialect. `param` is where it stood, for the error.
    ///
    /// # Errors
    /// `invalid_request` for what is no function.
    pub(super) fn into_domain(self, param: &str) -> Result<Tool, ApiError> {
        Ok(Tool {
            name: function(&self.kind, self.name, param)?,
            description: self.description,
            parameters: self.parameters.unwrap_or_else(|| json!({"type": "object", "properties": {}})),
            strict: self.strict.unwrap_or(false),
        })
    }
}

/// Whether a tool is called.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(
    untagged,
    expecting = "expected \"none\", \"auto\", \"required\", or an object such as {\"type\": \"function\", \"name\": ...}"
)]
pub enum ResponsesToolChoice {
    /// `none`, `auto` or `required`.
    #[schema(value_type = String)]
    Mode(ToolMode),
    /// One tool, or some.
    Tools(ChosenTools),
}

/// Which tools may or must be called.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ChosenTools {
    /// `function`: this one is called. `allowed_tools`: only these are on offer.
    #[serde(rename = "type")]
    #[schema(example = "function")]
    pub kind: String,
    /// The name of the one that is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// With `allowed_tools`: `auto` or `required`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub mode: Option<ToolMode>,
    /// Those on offer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tools: Option<Vec<NamedTool>>,
}

/// A tool by its name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NamedTool {
    /// `function`.
    #[serde(rename = "type")]
    #[schema(example = "function")]
    pub kind: String,
    /// Its name.
    #[schema(value_type = String, required = true)]
    pub name: Option<String>,
}

impl ResponsesToolChoice {
    /// The choice without its dialect, and the names of the tools that are on offer at all, if not all
    /// are.
    ///
    /// # Errors
    /// `invalid_request` for a choice of another kind.
    pub(super) fn into_domain(self) -> Result<(ToolChoice, Option<Vec<String>>), ApiError> {
        let chosen = match self {
            Self::Mode(mode) => return Ok((mode.into(), None)),
            Self::Tools(chosen) => chosen,
        };
        if chosen.kind != "allowed_tools" {
            let name = function(&chosen.kind, chosen.name, "tool_choice")?;
            return Ok((ToolChoice::Named(name), None));
        }
        let tools = chosen.tools.unwrap_or_default().into_iter().enumerate();
        let names =
            tools.map(|(index, tool)| function(&tool.kind, tool.name, &format!("{ALLOWED}[{index}]")));
        Ok((chosen.mode.unwrap_or(ToolMode::Auto).into(), Some(names.collect::<Result<_, _>>()?)))
    }
}

/// The name of something whose type must be `function`.
fn function(kind: &str, name: Option<String>, param: &str) -> Result<String, ApiError> {
    if kind != "function" {
        let param = format!("{param}.type");
        let message = format!(
            "{param} must be \"function\": the gateway runs no tools of its own; offer a function, and run it when it is called"
        );
        return Err(ApiError::invalid(param, message));
    }
    let param = format!("{param}.name");
    let missing = format!("{param} is missing");
    name.ok_or_else(|| ApiError::invalid(param, missing))
}
