//! Input of a native request: a prompt, or a conversation.

use hearth_domain::{Image, Message, PlacedImage, Role};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    ApiError, content::MessageContent, message_fields::MessageFields, reasoning::ReasoningDetail,
    tools::ToolCallBody,
};

/// Prompt, or conversation; exactly one of them.
#[derive(Debug, Clone, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Question or instruction.
    #[schema(example = "Tell me a story.")]
    pub prompt: Option<String>,
    /// Conversation, oldest message first.
    pub messages: Option<Vec<InputMessage>>,
    /// Images for the prompt: URLs, data URLs such as `data:image/png;base64,...`, or ids of artifacts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<String>,
    /// Mesh to change: the id of an artifact, or `data:model/gltf-binary;base64,...`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mesh: Option<String>,
}

/// Message of a conversation.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InputMessage {
    /// `system`, `user`, `assistant` or `tool`.
    #[schema(example = "user")]
    pub role: Role,
    /// Text, or a list of text and image parts; null in an assistant's message with tool calls alone.
    pub content: Option<MessageContent>,
    /// Name of the author, if several authors share a role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Tool calls of the assistant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<Vec<ToolCallBody>>,
    /// In a tool's message, the id of the call that it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
    /// Reasoning of the assistant before its answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<String>,
    /// Reasoning with signatures, as the answer contained it; used in place of `reasoning`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_details: Option<Vec<ReasoningDetail>>,
}

impl Input {
    /// True if it has neither a prompt nor messages, nor files.
    pub(super) fn is_empty(&self) -> bool {
        self.prompt.is_none() && self.messages.is_none() && self.images.is_empty() && self.mesh.is_none()
    }

    /// Appends the conversation to `messages`.
    pub(super) fn append_to(self, messages: &mut Vec<Message>) -> Result<(), ApiError> {
        match (self.prompt, self.messages) {
            (Some(prompt), None) if !prompt.is_empty() => {
                let seen = |url| PlacedImage { at: 0, image: Image::at(url) };
                let images = self.images.into_iter().map(seen).collect();
                messages.push(Message { images, ..Message::new(Role::User, prompt) });
            }
            (None, Some(_)) if !self.images.is_empty() => {
                let message =
                    "input.images goes with input.prompt; put the images of a conversation into its messages";
                return Err(ApiError::invalid("input.images", message));
            }
            (None, Some(turns)) if !turns.is_empty() => {
                for (index, turn) in turns.into_iter().enumerate() {
                    let fields = MessageFields::from(turn);
                    messages.push(fields.into_message(format_args!("input.messages[{index}]"))?);
                }
            }
            (Some(_), Some(_)) => {
                return Err(ApiError::invalid("input", "send input.prompt or input.messages, not both"));
            }
            (Some(_), None) => {
                return Err(ApiError::invalid("input.prompt", "input.prompt must not be empty"));
            }
            (None, Some(_)) => {
                return Err(ApiError::invalid("input.messages", "input.messages must not be empty"));
            }
            (None, None) => return Err(ApiError::invalid("input", "send input.prompt or input.messages")),
        }
        Ok(())
    }
}

impl From<InputMessage> for MessageFields {
    fn from(message: InputMessage) -> Self {
        Self {
            role: message.role,
            content: message.content,
            name: message.name,
            tool_calls: message.tool_calls,
            tool_call_id: message.tool_call_id,
            reasoning: message.reasoning,
            reasoning_details: message.reasoning_details,
        }
    }
}
