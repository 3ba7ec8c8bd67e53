//! The messages of a chat request.

use hearth_domain::{Message, PartExtra, PartPlace, Reasoning, Role, ToolCall};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::{
    ApiError,
    openai::{
        content::Content,
        reasoning::{self, ReasoningDetail},
        tools::ToolCallBody,
    },
};

/// One message of a conversation.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
pub struct ChatMessage {
    /// `system`, `developer`, `user`, `assistant` or `tool`.
    #[schema(value_type = String, example = "user")]
    pub role: ChatRole,
    /// A text, or a list of text, image and file parts; null in an assistant's message that only calls tools.
    pub content: Option<Content>,
    /// Who speaks, where several share a role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The tools that the assistant called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<Vec<ToolCallBody>>,
    /// In a tool's message, the id of the call that it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
    /// What the assistant thought before it answered, as some vendors give it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<String>,
    /// The same with what its maker wants back, as the answer gave it; counts before `reasoning_content`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_details: Option<Vec<ReasoningDetail>>,
    /// Refused: the older form of `tool_calls`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub function_call: Option<Value>,
    /// What a provider of this dialect may know.
    #[serde(flatten)]
    #[schema(ignore)]
    pub extra: Map<String, Value>,
}

/// Who says a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ChatRole {
    /// Instructions.
    System,
    /// Instructions, under their newer name.
    Developer,
    /// Who asks.
    User,
    /// The model.
    Assistant,
    /// A tool's result.
    Tool,
    /// Refused: the older form of `tool`.
    Function,
}

impl ChatMessage {
    /// The message without its dialect. `param` is where it stood, for the error.
    ///
    /// # Errors
    /// `invalid_request`, naming the field.
    pub fn into_domain(self, param: &str) -> Result<Message, ApiError> {
        if self.function_call.is_some() {
            let message = "function_call is of an older dialect; send tool_calls instead";
            return Err(ApiError::invalid(format!("{param}.function_call"), message));
        }
        let role = match self.role {
            ChatRole::System | ChatRole::Developer => Role::System,
            ChatRole::User => Role::User,
            ChatRole::Assistant => Role::Assistant,
            ChatRole::Tool => Role::Tool,
            ChatRole::Function => {
                let message =
                    "the role function is of an older dialect; send the role tool with a tool_call_id";
                return Err(ApiError::invalid(format!("{param}.role"), message));
            }
        };
        let tool_calls = self.tool_calls.unwrap_or_default();
        if role != Role::Assistant && !tool_calls.is_empty() {
            let message = "only an assistant's message calls tools";
            return Err(ApiError::invalid(format!("{param}.tool_calls"), message));
        }
        let at = format!("{param}.content");
        let mut message = match self.content {
            Some(content) => content.into_message(role, &at)?,
            None if role == Role::Assistant => Message::new(role, ""),
            None => return Err(ApiError::invalid(at, "a message needs a content")),
        };
        let mut fields = self.extra;
        fields.retain(|_, value| !value.is_null());
        if !fields.is_empty() {
            message.extra.push(PartExtra { of: PartPlace::Message, fields });
        }
        let sealed = reasoning::blocks(self.reasoning_details.unwrap_or_default());
        let text = self.reasoning_content.filter(|text| sealed.is_empty() && !text.is_empty());
        let open = text.map(|text| Reasoning { text, ..Reasoning::default() });
        let thoughts = open.into_iter().chain(sealed).filter(|_| role == Role::Assistant);
        Ok(Message {
            reasoning: thoughts.collect(),
            tool_calls: tool_calls.into_iter().map(ToolCall::from).collect(),
            tool_call_id: self.tool_call_id.filter(|_| role == Role::Tool),
            name: self.name.filter(|_| role != Role::Tool),
            ..message
        })
    }
}
