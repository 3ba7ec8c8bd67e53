//! The messages of a chat request.

use std::fmt;

use hearth_domain::{Message, PartExtra, PartPlace, Role};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::{
    ApiError, content::MessageContent, message_fields::MessageFields, reasoning::ReasoningDetail,
    tools::ToolCallBody,
};

/// One message of a conversation.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
pub struct ChatMessage {
    /// `system`, `developer`, `user`, `assistant` or `tool`.
    #[schema(example = "user")]
    pub role: ChatRole,
    /// A text, or a list of text, image and file parts; null in an assistant's message that has only tool calls.
    pub content: Option<MessageContent>,
    /// Name of the author, if several share the role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The assistant's tool calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<Vec<ToolCallBody>>,
    /// In a tool's message, the id of the call whose result it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
    /// The assistant's reasoning, in the field that several vendors use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<String>,
    /// The assistant's reasoning with its signatures and encrypted parts, as in the answer. Takes precedence over
    /// `reasoning_content`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_details: Option<Vec<ReasoningDetail>>,
    /// Refused: the older form of `tool_calls`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub function_call: Option<Value>,
    /// Unknown fields, for a provider of this dialect.
    #[serde(flatten)]
    #[schema(ignore)]
    pub extra: Map<String, Value>,
}

/// Role of a message's author.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ChatRole {
    /// Instructions.
    System,
    /// Instructions, by their newer name.
    Developer,
    /// The user.
    User,
    /// The model.
    Assistant,
    /// A tool's result.
    Tool,
    /// Refused: the older form of `tool`.
    Function,
}

impl ChatMessage {
    /// Converts the message. `param` is its field, for the error: it is formatted only then.
    ///
    /// # Errors
    /// `invalid_request`, naming the field.
    pub fn into_domain(self, param: fmt::Arguments<'_>) -> Result<Message, ApiError> {
        if self.function_call.is_some() {
            let message = "function_call is deprecated and not supported; send tool_calls instead";
            return Err(ApiError::invalid(format!("{param}.function_call"), message));
        }
        let role = match self.role {
            ChatRole::System | ChatRole::Developer => Role::System,
            ChatRole::User => Role::User,
            ChatRole::Assistant => Role::Assistant,
            ChatRole::Tool => Role::Tool,
            ChatRole::Function => {
                let message = "the role function is deprecated and not supported; send the role tool with a tool_call_id";
                return Err(ApiError::invalid(format!("{param}.role"), message));
            }
        };
        let fields = MessageFields {
            role,
            content: self.content,
            name: self.name,
            tool_calls: self.tool_calls,
            tool_call_id: self.tool_call_id,
            reasoning: self.reasoning_content,
            reasoning_details: self.reasoning_details,
        };
        let mut message = fields.into_message(param)?;
        let mut unknown = self.extra;
        unknown.retain(|_, value| !value.is_null());
        if !unknown.is_empty() {
            message.extra.push(PartExtra { of: PartPlace::Message, fields: unknown });
        }
        Ok(message)
    }
}
