//! Tools and tool calls in OpenAI's chat format, which the native and Ollama's dialects use too.

use hearth_domain::{Tool, ToolCall, ToolChoice};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::{ApiError, event::ToolCallBegin, offered_tools::OfferedTools, required::required};

const FUNCTION: &str = "function";

/// A tool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ToolBody {
    /// `function`. A tool of another type is passed on to a provider of this dialect; other providers don't get it, and
    /// refuse the request if the model must call it.
    #[serde(rename = "type")]
    #[schema(example = "function")]
    pub kind: String,
    /// The function.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = FunctionBody, required = true)]
    pub function: Option<FunctionBody>,
    /// Unknown fields, for a provider of this dialect.
    #[serde(flatten)]
    #[schema(ignore)]
    pub extra: Map<String, Value>,
}

/// A function that the model may call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FunctionBody {
    /// The name: 1 to 256 letters, digits, underscores, dots and dashes.
    #[schema(example = "get_weather")]
    pub name: String,
    /// Description for the model.
    pub description: Option<String>,
    /// JSON Schema of the arguments. Absent: the function has no arguments.
    #[schema(value_type = Option<Object>)]
    pub parameters: Option<Value>,
    /// If true, the arguments must fit the schema.
    pub strict: Option<bool>,
}

/// A tool call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ToolCallBody {
    /// Id of the call; the message with its result names it.
    pub id: String,
    /// `function`.
    #[serde(rename = "type", default = "function_kind")]
    #[schema(example = "function")]
    pub kind: String,
    /// The function and its arguments.
    pub function: FunctionCall,
}

/// A function call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FunctionCall {
    /// The function's name.
    pub name: String,
    /// The arguments, as JSON text.
    pub arguments: String,
}

/// A piece of a streamed tool call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ToolCallDelta {
    /// Index of the call in the message.
    pub index: u32,
    /// Id of the call, in its first piece.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// `function`, in the call's first piece.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The function's name, or a piece of its arguments.
    pub function: FunctionDelta,
}

/// A piece of a streamed function call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FunctionDelta {
    /// The function's name, in the call's first piece.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Text to append to the arguments.
    pub arguments: String,
}

impl ToolBody {
    /// Converts a function. `param` is the tool's field, for the error.
    ///
    /// # Errors
    /// `invalid_request` for another type of tool.
    pub fn into_domain(self, param: &str) -> Result<Tool, ApiError> {
        let function = require_function(&self.kind, self.function, param)?;
        Ok(Tool {
            name: function.name,
            description: function.description,
            parameters: function.parameters.unwrap_or_else(|| json!({"type": "object", "properties": {}})),
            strict: function.strict.unwrap_or(false),
        })
    }
}

/// Converts the tools of a chat request.
///
/// # Errors
/// `invalid_request`, naming the tool.
pub(crate) fn chat_tools(tools: Option<Vec<ToolBody>>) -> Result<OfferedTools, ApiError> {
    let mut offered = OfferedTools::default();
    for (index, mut tool) in tools.into_iter().flatten().enumerate() {
        if tool.kind != FUNCTION {
            offered.hosted.definitions.push(json!(tool));
            continue;
        }
        let mut extra = std::mem::take(&mut tool.extra);
        extra.retain(|_, value| !value.is_null());
        let param = format!("tools[{index}]");
        offered.add_function(tool.into_domain(&param)?, param, extra);
    }
    Ok(offered)
}

/// Applies a chat's tool choice: if a call is required and all tools are hosted, a provider of this dialect must call one
/// of them. Returns the choice among the functions.
pub(crate) fn apply_chat_choice(offered: &mut OfferedTools, choice: ToolChoice) -> ToolChoice {
    let only_hosted = offered.functions.is_empty() && !offered.hosted.definitions.is_empty();
    if choice == ToolChoice::Required && only_hosted {
        return offered.require_any(json!("required"));
    }
    choice
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

impl ToolCallDelta {
    /// Creates the delta of a run event.
    #[must_use]
    pub fn new(index: u32, begins: Option<&ToolCallBegin>, arguments: &str) -> Self {
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

/// Returns the function of an object whose `type` must be `function`.
pub(crate) fn require_function<T>(kind: &str, function: Option<T>, param: &str) -> Result<T, ApiError> {
    if kind != FUNCTION {
        let param = format!("{param}.type");
        let message =
            format!("{param} must be \"function\"; the gateway supports no other type of tool here");
        return Err(ApiError::invalid(param, message));
    }
    required(function, param, "function")
}

fn function_kind() -> String {
    FUNCTION.to_owned()
}
