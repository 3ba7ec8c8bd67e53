//! Converts the messages of a conversation.
//!
//! Calls and results need no ids in this dialect: a result belongs to an earlier call of the same tool, or to the first call
//! without a result. A call without an id gets one from its position, so that equal conversations stay equal.

use hearth_domain::{Message, Reasoning, Role, ToolCall};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::image::parse_image;
use crate::{
    ApiError,
    message_parts::MessageParts,
    reasoning::{self, ReasoningDetail},
};

/// One message of a conversation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OllamaMessage {
    /// `system`, `user`, `assistant` or `tool`.
    #[schema(example = "user")]
    pub role: String,
    /// The text; empty in an assistant's message that has only tool calls.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub content: Option<String>,
    /// The assistant's reasoning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thinking: Option<String>,
    /// Extension. The reasoning with its signatures and encrypted parts, in messages with tool calls. Takes precedence over
    /// `thinking`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_details: Option<Vec<ReasoningDetail>>,
    /// Images of a user or a tool, in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<Vec<String>>,
    /// The assistant's tool calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<Vec<OllamaToolCall>>,
    /// In a tool's message, name of the tool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_name: Option<String>,
    /// Older name of `tool_name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// In a tool's message, id of the call whose result it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
}

/// A tool call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OllamaToolCall {
    /// Id of the call; the message with its result may name it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The function and its arguments.
    pub function: OllamaFunctionCall,
}

/// A function call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OllamaFunctionCall {
    /// Index of the call in the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u32>,
    /// The function's name.
    pub name: String,
    /// The arguments, an object.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub arguments: Value,
}

impl OllamaToolCall {
    /// Creates the call at `index` of a message. Incomplete arguments become empty ones.
    pub(super) fn of(index: u32, call: &ToolCall) -> Self {
        let arguments: Map<String, Value> = serde_json::from_str(&call.arguments).unwrap_or_default();
        let (name, arguments) = (call.name.clone(), Value::Object(arguments));
        Self {
            id: Some(call.id.clone()),
            function: OllamaFunctionCall { index: Some(index), name, arguments },
        }
    }
}

/// Converts a conversation.
///
/// # Errors
/// `invalid_request`, naming the field.
pub(super) fn conversation(messages: Vec<OllamaMessage>) -> Result<Vec<Message>, ApiError> {
    let mut open_calls: Vec<(String, String)> = Vec::new();
    let mut conversation = Vec::with_capacity(messages.len());
    for (index, message) in messages.into_iter().enumerate() {
        let call_id = message.tool_call_id.clone();
        let tool_name = message.tool_name.clone().or_else(|| message.name.clone());
        let mut message = message.into_domain(index)?;
        if message.role == Role::Assistant && !message.tool_calls.is_empty() {
            let calls = message.tool_calls.iter();
            open_calls = calls.map(|call| (call.id.clone(), call.name.clone())).collect();
        }
        if message.role == Role::Tool {
            match take_matching_call(&mut open_calls, call_id.as_deref(), tool_name.as_deref()) {
                Some((id, name)) => (message.tool_call_id, message.name) = (Some(id), Some(name)),
                // In a history that was truncated between a call and its result, the result becomes a user's message.
                None => message.role = Role::User,
            }
        }
        conversation.push(message);
    }
    Ok(conversation)
}

/// Removes the call of a result from the calls without a result; each is an id and a tool's name.
fn take_matching_call(
    open_calls: &mut Vec<(String, String)>,
    call_id: Option<&str>,
    tool_name: Option<&str>,
) -> Option<(String, String)> {
    let by_id = open_calls.iter().position(|(id, _)| Some(id.as_str()) == call_id);
    let by_name = || open_calls.iter().position(|(_, name)| Some(name.as_str()) == tool_name);
    let index = by_id.or_else(by_name).or_else(|| (!open_calls.is_empty()).then_some(0))?;
    Some(open_calls.remove(index))
}

impl OllamaMessage {
    fn into_domain(self, index: usize) -> Result<Message, ApiError> {
        let param = format!("messages[{index}]");
        let role = match self.role.as_str() {
            "system" | "developer" => Role::System,
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "tool" => Role::Tool,
            _ => {
                let param = format!("{param}.role");
                let message = format!("{param} must be system, user, assistant or tool");
                return Err(ApiError::invalid(param, message));
            }
        };
        let mut parts = MessageParts::default();
        parts.add_text(self.content.unwrap_or_default(), "", Map::new());
        for (number, data) in self.images.unwrap_or_default().into_iter().enumerate() {
            let param = format!("{param}.images[{number}]");
            if matches!(role, Role::System | Role::Assistant) {
                let message = format!(
                    "{param} is in a message with the role {}; send images in a user's message",
                    role.as_str()
                );
                return Err(ApiError::invalid(param, message));
            }
            parts.add_image(parse_image(data, &param)?, Map::new());
        }
        if role != Role::Assistant {
            return Ok(parts.into_message(role));
        }
        let calls = self.tool_calls.unwrap_or_default().into_iter().enumerate();
        let tool_calls = calls.map(|(number, call)| call.into_domain(index, number)).collect();
        let thinking = self.thinking.filter(|text| !text.is_empty());
        let plain = thinking.map(|text| vec![Reasoning { text, ..Reasoning::default() }]);
        let reasoning = self.reasoning_details.map(reasoning::reasoning_blocks).or(plain).unwrap_or_default();
        Ok(Message { reasoning, tool_calls, ..parts.into_message(role) })
    }
}

impl OllamaToolCall {
    fn into_domain(self, message: usize, number: usize) -> ToolCall {
        let id = self.id.filter(|id| !id.is_empty()).unwrap_or_else(|| format!("call_{message}_{number}"));
        let arguments = match self.function.arguments {
            Value::Null => "{}".to_owned(),
            // Some clients send JSON text, as in OpenAI's dialect.
            Value::String(text) => text,
            arguments => arguments.to_string(),
        };
        ToolCall { id, name: self.function.name, arguments }
    }
}
