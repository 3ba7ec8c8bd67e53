//! Converts the turns of a request to messages.

use hearth_domain::{Message, PartPlace, Reasoning, Role, ToolCall};
use serde_json::Value;

use super::{MessagesBlock, MessagesContent, MessagesRole, MessagesTurn, thinking::unpack_redacted};
use crate::{ApiError, message_parts::MessageParts, required::required};

impl MessagesContent {
    /// Returns the blocks, each with its field; a text is one block.
    ///
    /// # Errors
    /// `invalid_request` for any other content.
    fn into_blocks(self, param: &str) -> Result<Vec<(String, MessagesBlock)>, ApiError> {
        match self {
            Self::Text(text) => {
                let block =
                    MessagesBlock { kind: "text".to_owned(), text: Some(text), ..MessagesBlock::default() };
                Ok(vec![(param.to_owned(), block)])
            }
            Self::Blocks(blocks) => {
                let numbered = blocks.into_iter().enumerate();
                Ok(numbered.map(|(index, block)| (format!("{param}[{index}]"), block)).collect())
            }
            Self::Other(_) => {
                Err(ApiError::invalid(param, format!("{param} must be a string or a list of content blocks")))
            }
        }
    }

    /// Converts the blocks to parts of a message, with `separator` between texts.
    fn into_parts(self, param: &str, separator: &'static str) -> Result<MessageParts, ApiError> {
        let mut parts = MessageParts::default();
        for (param, block) in self.into_blocks(param)? {
            block.add_to(&mut parts, &param, separator)?;
        }
        Ok(parts)
    }

    /// Converts instructions. `param` is their field, for the error.
    ///
    /// # Errors
    /// `invalid_request` for a block that is not text.
    pub(super) fn into_system(self, param: &str) -> Result<Message, ApiError> {
        let message = self.into_parts(param, "\n\n")?.into_message(Role::System);
        if !message.is_text_only() {
            return Err(ApiError::invalid(param, format!("{param} must be text")));
        }
        Ok(message)
    }
}

impl MessagesTurn {
    /// Converts the turn to messages, each with the field of its call's id, for errors. `param` is the turn's field.
    ///
    /// # Errors
    /// `invalid_request`, naming the block or the field.
    pub(super) fn into_domain(self, param: &str) -> Result<Vec<(Message, String)>, ApiError> {
        let param = format!("{param}.content");
        match self.role {
            MessagesRole::User => user_messages(self.content, &param),
            MessagesRole::Assistant => Ok(vec![(assistant_message(self.content, &param)?, param)]),
            MessagesRole::System => Ok(vec![(self.content.into_system(&param)?, param)]),
        }
    }
}

/// Converts a user's turn: the results of calls, then the user's message.
fn user_messages(content: MessagesContent, param: &str) -> Result<Vec<(Message, String)>, ApiError> {
    let (mut messages, mut parts, mut has_parts) = (Vec::new(), MessageParts::default(), false);
    for (block_param, block) in content.into_blocks(param)? {
        if block.kind == "tool_result" {
            let id_param = format!("{block_param}.tool_use_id");
            messages.push((block.into_result(&block_param)?, id_param));
        } else {
            block.add_to(&mut parts, &block_param, "\n")?;
            has_parts = true;
        }
    }
    if has_parts || messages.is_empty() {
        messages.push((parts.into_message(Role::User), param.to_owned()));
    }
    Ok(messages)
}

/// Converts a turn of the assistant.
fn assistant_message(content: MessagesContent, param: &str) -> Result<Message, ApiError> {
    let (mut parts, mut reasoning, mut tool_calls) = (MessageParts::default(), Vec::new(), Vec::new());
    let blocks = content.into_blocks(param)?;
    // To a client that sees no thoughts they are rendered behind the text: their place doesn't matter.
    let sees_thoughts = blocks.iter().any(|(_, block)| block.kind == "thinking");
    let (mut is_after_text, mut is_after_thinking) = (false, false);
    for (param, mut block) in blocks {
        let reasoning_before = reasoning.len();
        let follows_text = std::mem::replace(&mut is_after_text, block.kind == "text");
        let follows_thinking = std::mem::replace(&mut is_after_thinking, block.kind == "thinking");
        match block.kind.as_str() {
            "tool_use" => {
                parts.add_extra(PartPlace::Call(tool_calls.len()), block.take_vendor_fields());
                tool_calls.push(block.into_call(&param)?);
                parts.add_call_place();
            }
            "thinking" => {
                let text = required(block.thinking, &param, "thinking")?;
                let signature = block.signature.filter(|signature| !signature.is_empty());
                reasoning.push(Reasoning { text, signature, encrypted: None });
            }
            "redacted_thinking" => {
                let redacted = unpack_redacted(required(block.data, &param, "data")?);
                match reasoning.last_mut() {
                    // A block of another vendor, which was rendered as two.
                    Some(readable) if follows_thinking && is_encrypted_half(readable, &redacted) => {
                        readable.encrypted = redacted.encrypted;
                    }
                    _ => reasoning.push(redacted),
                }
            }
            // Texts of an assistant's message continue each other, unless another block is between them.
            _ => {
                if !follows_text {
                    parts.begin_item();
                }
                block.add_to(&mut parts, &param, "")?;
            }
        }
        if sees_thoughts && reasoning.len() > reasoning_before {
            parts.add_reasoning_place();
        }
    }
    Ok(Message { reasoning, tool_calls, ..parts.into_message(Role::Assistant) })
}

/// Returns whether `redacted` is the encrypted half of the block before it.
fn is_encrypted_half(readable: &Reasoning, redacted: &Reasoning) -> bool {
    readable.signature.is_none()
        && readable.encrypted.is_none()
        && redacted.signature.is_none()
        && redacted.text.is_empty()
}

impl MessagesBlock {
    fn into_result(mut self, param: &str) -> Result<Message, ApiError> {
        let extra = self.take_vendor_fields();
        let id = required(self.tool_use_id, param, "tool_use_id")?;
        let mut parts = match self.content {
            Some(content) => content.into_parts(&format!("{param}.content"), "\n")?,
            None => MessageParts::default(),
        };
        parts.add_extra(PartPlace::Message, extra);
        Ok(Message {
            tool_call_id: Some(id),
            failed: self.is_error.unwrap_or(false),
            ..parts.into_message(Role::Tool)
        })
    }

    fn into_call(self, param: &str) -> Result<ToolCall, ApiError> {
        let input = self.input.unwrap_or_default();
        Ok(ToolCall {
            id: required(self.id, param, "id")?,
            name: required(self.name, param, "name")?,
            arguments: Value::Object(input).to_string(),
        })
    }
}
