//! What to generate from: a prompt, or a conversation.

use hearth_domain::{Image, Message, PlacedImage, Role};
use serde::{Deserialize, Serialize};
use serde_json::Map;
use utoipa::ToSchema;

use crate::{
    ApiError,
    openai::{
        chat::{ChatMessage, ChatRole},
        content::Content,
        reasoning::ReasoningDetail,
        tools::ToolCallBody,
    },
};

/// A prompt, or a conversation; exactly one of them.
#[derive(Debug, Clone, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// One question or instruction.
    #[schema(example = "Tell me a story.")]
    pub prompt: Option<String>,
    /// A conversation, oldest first.
    pub messages: Option<Vec<InputMessage>>,
    /// Images that go with the prompt, to see, to change, or to make a mesh of: addresses,
    /// `data:image/png;base64,...`, or the ids of artifacts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<String>,
    /// A mesh to make another one of: the id of an artifact, or `data:model/gltf-binary;base64,...`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mesh: Option<String>,
}

/// One message of a conversation.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InputMessage {
    /// `system`, `user`, `assistant` or `tool`.
    #[schema(value_type = String, example = "user")]
    pub role: Role,
    /// A text, or a list of text and image parts; null in an assistant's message that only calls tools.
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
    /// What the assistant thought before it answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<String>,
    /// The same with what its maker wants back, as the answer gave it; counts before `reasoning`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_details: Option<Vec<ReasoningDetail>>,
}

impl Input {
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
                    let message = ChatMessage::from(turn);
                    messages.push(message.into_domain(&format!("input.messages[{index}]"))?);
                }
            }
            (Some(_), Some(_)) => {
                return Err(ApiError::invalid("input", "give input.prompt or input.messages, not both"));
            }
            (Some(_), None) => {
                return Err(ApiError::invalid("input.prompt", "input.prompt must not be empty"));
            }
            (None, Some(_)) => {
                return Err(ApiError::invalid("input.messages", "input.messages must not be empty"));
            }
            (None, None) => return Err(ApiError::invalid("input", "give input.prompt or input.messages")),
        }
        Ok(())
    }
}

impl From<InputMessage> for ChatMessage {
    fn from(message: InputMessage) -> Self {
        let role = match message.role {
            Role::System => ChatRole::System,
            Role::User => ChatRole::User,
            Role::Assistant => ChatRole::Assistant,
            Role::Tool => ChatRole::Tool,
        };
        Self {
            role,
            content: message.content,
            name: message.name,
            tool_calls: message.tool_calls,
            tool_call_id: message.tool_call_id,
            reasoning_content: message.reasoning,
            reasoning_details: message.reasoning_details,
            function_call: None,
            extra: Map::new(),
        }
    }
}
