//! The messages of a conversation.
//!
//! Calls and results need no ids in this dialect: a result belongs to the call before it that has its tool's name, or to
//! the first one without a result. Ids are made up where there are none, the same ones for the same conversation.

use hearth_domain::{Message, Reasoning, Role, ToolCall};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::picture::image;
use crate::{
    ApiError,
    openai::reasoning::{self, ReasoningDetail},
    parts::MessageParts,
};

/// One message of a conversation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OllamaMessage {
    /// `system`, `user`, `assistant` or `tool`.
    #[schema(example = "user")]
    pub role: String,
    /// The text; empty in an assistant's message that only calls tools.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub content: Option<String>,
    /// What the assistant thought before it answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thinking: Option<String>,
    /// An extension: the same with what its maker wants back, where tools are called. Counts before `thinking`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_details: Option<Vec<ReasoningDetail>>,
    /// Images that a user or a tool shows, in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<Vec<String>>,
    /// The tools that the assistant calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<Vec<OllamaToolCall>>,
    /// In a tool's message, the tool's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_name: Option<String>,
    /// The older name of `tool_name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// In a tool's message, the id of the call that it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
}

/// A call of a tool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OllamaToolCall {
    /// What its result may be given back under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The function and its arguments.
    pub function: OllamaFunctionCall,
}

/// A call of a function.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OllamaFunctionCall {
    /// Which of the message's calls, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u32>,
    /// Its name.
    pub name: String,
    /// Its arguments, an object.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub arguments: Value,
}

impl OllamaToolCall {
    /// The call at `index` of a message. Arguments that were cut off in their middle are none.
    pub(super) fn of(index: u32, call: &ToolCall) -> Self {
        let arguments: Map<String, Value> = serde_json::from_str(&call.arguments).unwrap_or_default();
        let (name, arguments) = (call.name.clone(), Value::Object(arguments));
        Self {
            id: Some(call.id.clone()),
            function: OllamaFunctionCall { index: Some(index), name, arguments },
        }
    }
}

/// The conversation without its dialect.
///
/// # Errors
/// `invalid_request`, naming the field.
pub(super) fn conversation(messages: Vec<OllamaMessage>) -> Result<Vec<Message>, ApiError> {
    let mut open: Vec<(String, String)> = Vec::new();
    let mut conversation = Vec::with_capacity(messages.len());
    for (index, message) in messages.into_iter().enumerate() {
        let called = message.tool_call_id.clone();
        let tool = message.tool_name.clone().or_else(|| message.name.clone());
        let mut message = message.into_domain(index)?;
        if message.role == Role::Assistant && !message.tool_calls.is_empty() {
            let calls = message.tool_calls.iter();
            open = calls.map(|call| (call.id.clone(), call.name.clone())).collect();
        }
        if message.role == Role::Tool {
            match answered(&mut open, called.as_deref(), tool.as_deref()) {
                Some((id, name)) => (message.tool_call_id, message.name) = (Some(id), Some(name)),
                // Of a history that was cut between a call and its result only the result's words are left.
                None => message.role = Role::User,
            }
        }
        conversation.push(message);
    }
    Ok(conversation)
}

/// Takes the call that a result answers from those without one.
fn answered(
    open: &mut Vec<(String, String)>,
    called: Option<&str>,
    tool: Option<&str>,
) -> Option<(String, String)> {
    let by_id = open.iter().position(|(id, _)| Some(id.as_str()) == called);
    let place = by_id.or_else(|| open.iter().position(|(_, name)| Some(name.as_str()) == tool));
    let place = place.or_else(|| (!open.is_empty()).then_some(0))?;
    Some(open.remove(place))
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
        parts.add_text(&self.content.unwrap_or_default(), "", Map::new());
        for (number, data) in self.images.unwrap_or_default().into_iter().enumerate() {
            let param = format!("{param}.images[{number}]");
            if matches!(role, Role::System | Role::Assistant) {
                let message = format!(
                    "{param} stands in a message of the {}; send it in one of the user",
                    role.as_str()
                );
                return Err(ApiError::invalid(param, message));
            }
            parts.add_image(image(data, &param)?, Map::new());
        }
        if role != Role::Assistant {
            return Ok(parts.into_message(role));
        }
        let calls = self.tool_calls.unwrap_or_default().into_iter().enumerate();
        let tool_calls = calls.map(|(number, call)| call.into_domain(index, number)).collect();
        let thoughts = self.thinking.filter(|text| !text.is_empty());
        let plain = thoughts.map(|text| vec![Reasoning { text, ..Reasoning::default() }]);
        let reasoning = self.reasoning_details.map(reasoning::blocks).or(plain).unwrap_or_default();
        Ok(Message { reasoning, tool_calls, ..parts.into_message(role) })
    }
}

impl OllamaToolCall {
    fn into_domain(self, message: usize, number: usize) -> ToolCall {
        let id = self.id.filter(|id| !id.is_empty()).unwrap_or_else(|| format!("call_{message}_{number}"));
        let arguments = match self.function.arguments {
            Value::Null => "{}".to_owned(),
            // Some clients write them as OpenAI does, as a text.
            Value::String(text) => text,
            arguments => arguments.to_string(),
        };
        ToolCall { id, name: self.function.name, arguments }
    }
}
