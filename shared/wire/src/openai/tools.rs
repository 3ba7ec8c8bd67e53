//! Tools and their calls, as OpenAI writes them. The native dialect writes them the same.

use std::collections::BTreeMap;

use hearth_domain::{HostedTools, Tool, ToolCall, ToolChoice};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::ApiError;

const FUNCTION: &str = "function";

/// A tool on offer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ToolBody {
    /// `function`. A tool of another type is for a provider of this dialect alone; elsewhere it is left out, if the model
    /// need not call it.
    #[serde(rename = "type")]
    #[schema(example = "function")]
    pub kind: String,
    /// The function.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = FunctionBody, required = true)]
    pub function: Option<FunctionBody>,
    /// What a provider of this dialect may know.
    #[serde(flatten)]
    #[schema(ignore)]
    pub extra: Map<String, Value>,
}

/// A function that the model may call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FunctionBody {
    /// Its name: 1 to 256 letters, digits, underscores, dots and dashes.
    #[schema(example = "get_weather")]
    pub name: String,
    /// What it does, for the model.
    pub description: Option<String>,
    /// A JSON Schema of its arguments; absent: it takes none.
    #[schema(value_type = Option<Object>)]
    pub parameters: Option<Value>,
    /// Whether the arguments must fit the schema.
    pub strict: Option<bool>,
}

impl ToolBody {
    /// The tool without its dialect. `param` is where it stood, for the error.
    ///
    /// # Errors
    /// `invalid_request` for what is no function.
    pub fn into_domain(self, param: &str) -> Result<Tool, ApiError> {
        let function = named(&self.kind, self.function, param)?;
        Ok(Tool {
            name: function.name,
            description: function.description,
            parameters: function.parameters.unwrap_or_else(|| json!({"type": "object", "properties": {}})),
            strict: function.strict.unwrap_or(false),
        })
    }
}

/// A request's tools without their dialect.
#[derive(Debug, Default)]
pub(crate) struct Offered {
    pub(crate) functions: Vec<Tool>,
    /// Those that only a provider of this dialect has.
    pub(crate) hosted: HostedTools,
    /// Further fields of functions, by the function's name.
    pub(crate) extra: BTreeMap<String, Map<String, Value>>,
}

impl Offered {
    /// The tools of a chat.
    ///
    /// # Errors
    /// `invalid_request`, naming the tool at fault.
    pub(crate) fn of_chat(tools: Option<Vec<ToolBody>>) -> Result<Self, ApiError> {
        let mut offered = Self::default();
        for (index, mut tool) in tools.into_iter().flatten().enumerate() {
            if tool.kind != FUNCTION {
                offered.hosted.definitions.push(json!(tool));
                continue;
            }
            let mut fields = std::mem::take(&mut tool.extra);
            fields.retain(|_, value| !value.is_null());
            let tool = tool.into_domain(&format!("tools[{index}]"))?;
            if !fields.is_empty() {
                offered.extra.insert(tool.name.clone(), fields);
            }
            offered.functions.push(tool);
        }
        Ok(offered)
    }

    /// The choice, where tools of a provider's may be among what it chooses from.
    pub(crate) fn choose(&mut self, choice: ToolChoice) -> ToolChoice {
        if choice == ToolChoice::Required && self.functions.is_empty() && !self.hosted.definitions.is_empty()
        {
            self.hosted.need(None, json!("required"));
            return ToolChoice::Auto;
        }
        choice
    }
}

/// Whether a tool is called.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(
    untagged,
    expecting = "expected \"none\", \"auto\", \"required\", or an object such as {\"type\": \"function\", \"function\": {\"name\": ...}}"
)]
pub enum ToolChoiceBody {
    /// `none`, `auto` or `required`.
    #[schema(value_type = String)]
    Mode(ToolMode),
    /// One tool, or some.
    Tools(ChosenTools),
}

/// Whether a tool is called, whichever it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ToolMode {
    /// Never.
    None,
    /// As the model sees fit.
    Auto,
    /// At least one.
    Required,
}

/// Which tools may or must be called.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ChosenTools {
    /// `function`: this one is called. `allowed_tools`: only these are on offer.
    #[serde(rename = "type")]
    #[schema(example = "function")]
    pub kind: String,
    /// The one that is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub function: Option<FunctionName>,
    /// Those on offer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed_tools: Option<AllowedTools>,
}

/// Some of the tools.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AllowedTools {
    /// `auto` or `required`.
    #[schema(value_type = String, example = "auto")]
    pub mode: ToolMode,
    /// Which.
    pub tools: Vec<ToolName>,
}

/// A tool by its name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ToolName {
    /// `function`.
    #[serde(rename = "type")]
    #[schema(example = "function")]
    pub kind: String,
    /// The function.
    #[schema(value_type = FunctionName, required = true)]
    pub function: Option<FunctionName>,
}

/// A function by its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FunctionName {
    /// Its name.
    pub name: String,
}

impl ToolChoiceBody {
    /// The choice without its dialect, and the names of the tools that are on offer at all, if not all
    /// are.
    ///
    /// # Errors
    /// `invalid_request` for a choice of another kind.
    pub fn into_domain(self) -> Result<(ToolChoice, Option<Vec<String>>), ApiError> {
        let chosen = match self {
            Self::Mode(mode) => return Ok((mode.into(), None)),
            Self::Tools(chosen) => chosen,
        };
        if chosen.kind != "allowed_tools" {
            let function = named(&chosen.kind, chosen.function, "tool_choice")?;
            return Ok((ToolChoice::Named(function.name), None));
        }
        let param = "tool_choice.allowed_tools";
        let allowed = chosen.allowed_tools.ok_or_else(|| missing(param))?;
        let mut names = Vec::with_capacity(allowed.tools.len());
        for (index, tool) in allowed.tools.into_iter().enumerate() {
            names.push(named(&tool.kind, tool.function, &format!("{param}.tools[{index}]"))?.name);
        }
        Ok((allowed.mode.into(), Some(names)))
    }
}

impl From<ToolMode> for ToolChoice {
    fn from(mode: ToolMode) -> Self {
        match mode {
            ToolMode::None => Self::None,
            ToolMode::Auto => Self::Auto,
            ToolMode::Required => Self::Required,
        }
    }
}

/// Where chat completions name the tools that are on offer.
pub(crate) const ALLOWED: &str = "tool_choice.allowed_tools.tools";

/// Keeps the tools of these names. `param` is where the names stood, for the error.
///
/// # Errors
/// `invalid_request` if there is none, or no tool of a name.
pub(crate) fn keep_allowed(tools: &mut Vec<Tool>, names: &[String], param: &str) -> Result<(), ApiError> {
    if names.is_empty() {
        return Err(ApiError::invalid(param, format!("{param} must not be empty")));
    }
    if let Some(index) = names.iter().position(|name| tools.iter().all(|tool| tool.name != *name)) {
        let param = format!("{param}[{index}]");
        let message = format!("{param} names a function that is not among the tools; send it in tools too");
        return Err(ApiError::invalid(param, message));
    }
    tools.retain(|tool| names.contains(&tool.name));
    Ok(())
}

/// A call of a tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ToolCallBody {
    /// What its result is given back under.
    pub id: String,
    /// `function`.
    #[serde(rename = "type", default = "function_kind")]
    #[schema(example = "function")]
    pub kind: String,
    /// The function and its arguments.
    pub function: FunctionCall,
}

/// A call of a function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FunctionCall {
    /// Its name.
    pub name: String,
    /// Its arguments, a JSON text.
    pub arguments: String,
}

impl From<ToolCallBody> for ToolCall {
    fn from(call: ToolCallBody) -> Self {
        Self { id: call.id, name: call.function.name, arguments: call.function.arguments }
    }
}

impl From<ToolCall> for ToolCallBody {
    fn from(call: ToolCall) -> Self {
        let function = FunctionCall { name: call.name, arguments: call.arguments };
        Self { id: call.id, kind: function_kind(), function }
    }
}

/// What a chunk adds to a message's calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ToolCallDelta {
    /// Which of the message's calls, from 0.
    pub index: u32,
    /// Its id, when it begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// `function`, when it begins.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The function's name, or more of its arguments.
    pub function: FunctionDelta,
}

/// What a chunk adds to a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FunctionDelta {
    /// Its name, when it begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Text to append to the arguments.
    pub arguments: String,
}

impl ToolCallDelta {
    /// What an event of a run adds.
    #[must_use]
    pub fn new(index: u32, begins: Option<&crate::event::ToolCallBegin>, arguments: &str) -> Self {
        Self {
            index,
            id: begins.map(|begin| begin.id.clone()),
            kind: begins.map(|_| function_kind()),
            function: FunctionDelta {
                name: begins.map(|begin| begin.name.clone()),
                arguments: arguments.to_owned(),
            },
        }
    }
}

/// The function of something whose type must be `function`.
fn named<T>(kind: &str, function: Option<T>, param: &str) -> Result<T, ApiError> {
    if kind != FUNCTION {
        let param = format!("{param}.type");
        let message = format!("{param} must be \"function\"; the gateway takes tools of no other type");
        return Err(ApiError::invalid(param, message));
    }
    function.ok_or_else(|| missing(&format!("{param}.function")))
}

fn missing(param: &str) -> ApiError {
    ApiError::invalid(param, format!("{param} is missing"))
}

fn function_kind() -> String {
    FUNCTION.to_owned()
}
