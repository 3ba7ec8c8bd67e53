//! Message of a conversation in the fields that OpenAI's chat completions and the native API share.

use std::fmt;

use hearth_domain::{Message, Reasoning, Role, ToolCall};

use crate::{
    ApiError,
    content::MessageContent,
    reasoning::{ReasoningDetail, reasoning_blocks},
    required::missing,
    tools::ToolCallBody,
};

/// Fields of a message, without its dialect.
#[derive(Debug)]
pub(crate) struct MessageFields {
    pub(crate) role: Role,
    pub(crate) content: Option<MessageContent>,
    pub(crate) name: Option<String>,
    pub(crate) tool_calls: Option<Vec<ToolCallBody>>,
    pub(crate) tool_call_id: Option<String>,
    pub(crate) reasoning: Option<String>,
    /// Reasoning with signatures. Takes precedence over `reasoning`.
    pub(crate) reasoning_details: Option<Vec<ReasoningDetail>>,
}

impl MessageFields {
    /// Converts the message. `param` is its field, for the error: it is formatted only then.
    ///
    /// # Errors
    /// `invalid_request`, naming the field.
    pub(crate) fn into_message(self, param: fmt::Arguments<'_>) -> Result<Message, ApiError> {
        let role = self.role;
        let tool_calls: Vec<ToolCall> = match self.tool_calls {
            Some(calls) => calls.into_iter().map(ToolCall::from).collect(),
            None => Vec::new(),
        };
        if role != Role::Assistant && !tool_calls.is_empty() {
            let message = "only an assistant's message can have tool_calls";
            return Err(ApiError::invalid(format!("{param}.tool_calls"), message));
        }
        let message = match self.content {
            Some(content) => content.into_message(role, format_args!("{param}.content"))?,
            None if role == Role::Assistant => Message::new(role, ""),
            None => return Err(missing(format!("{param}.content"))),
        };
        // Most messages have none, and a long conversation has many messages.
        let has_reasoning = self.reasoning.is_some() || self.reasoning_details.is_some();
        let reasoning = match has_reasoning && role == Role::Assistant {
            true => blocks_of(self.reasoning, self.reasoning_details),
            false => Vec::new(),
        };
        Ok(Message {
            reasoning,
            tool_calls,
            tool_call_id: self.tool_call_id.filter(|_| role == Role::Tool),
            name: self.name.filter(|_| role != Role::Tool),
            ..message
        })
    }
}

/// The blocks of reasoning: those with signatures, else the plain text.
fn blocks_of(text: Option<String>, details: Option<Vec<ReasoningDetail>>) -> Vec<Reasoning> {
    let details = reasoning_blocks(details.unwrap_or_default());
    let text = text.filter(|text| details.is_empty() && !text.is_empty());
    let plain = text.map(|text| Reasoning { text, ..Reasoning::default() });
    plain.into_iter().chain(details).collect()
}
