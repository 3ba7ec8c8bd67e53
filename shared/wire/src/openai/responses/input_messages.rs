//! Converts input items to messages.
//!
//! This API splits an assistant's turn into several items: its reasoning, its text, each of its calls. They become one
//! message.

use hearth_domain::{
    Attachment, AttachmentContent, Document, DocumentSource, Image, Message, Opaque, PartExtra, PartPlace,
    Reasoning, Role, ToolCall,
};
use serde_json::{Map, Value, json};

use super::{
    InputItem, ItemContent, ItemOutput, ItemPart, ItemRole, ResponsesInput, custom_tools::custom_arguments,
    encrypted_content, tool_names::function_name,
};
use crate::{
    ApiError,
    content::{document_source, is_stored},
    forms::Forms as _,
    message_parts::MessageParts,
    required::{missing, required},
};

/// Items of tools that the provider itself ran. Another provider doesn't need them: their results are in the text that follows
/// (<https://platform.openai.com/docs/api-reference/responses/object>).
const PROVIDER_ITEMS: [&str; 6] = [
    "code_interpreter_call",
    "file_search_call",
    "image_generation_call",
    "mcp_call",
    "mcp_list_tools",
    "web_search_call",
];

/// Messages, each with the index of its first item.
pub(super) type IndexedMessages = Vec<(usize, Message)>;

impl ResponsesInput {
    /// Converts the input to messages.
    ///
    /// # Errors
    /// `invalid_request`, naming the field.
    pub(super) fn into_messages(self) -> Result<IndexedMessages, ApiError> {
        let items = match self {
            Self::Text(text) => return Ok(vec![(0, Message::new(Role::User, text))]),
            Self::Items(items) => items,
        };
        let mut messages = Vec::with_capacity(items.len());
        for (index, item) in items.into_iter().enumerate() {
            item.append_to(&mut messages, index)?;
        }
        Ok(messages)
    }
}

impl InputItem {
    fn append_to(self, messages: &mut IndexedMessages, index: usize) -> Result<(), ApiError> {
        let param = format!("input[{index}]");
        match self.kind.as_deref() {
            // Its tools were taken out before.
            Some("additional_tools") => Ok(()),
            None | Some("message") => self.append_message(messages, index, &param),
            Some("reasoning") => {
                let block = self.into_reasoning(&param)?;
                // Reasoning between two calls belongs to their turn; reasoning after a text or an item begins another turn.
                let is_open = |turn: &Message| turn.content.is_empty() && turn.attachments.is_empty();
                let continues = |turn: &Message| is_open(turn) || !turn.tool_calls.is_empty();
                assistant_turn(messages, index, continues).reasoning.push(block);
                Ok(())
            }
            Some("function_call") => {
                let name = required(self.name, &param, "name")?;
                let call = ToolCall {
                    id: required(self.call_id, &param, "call_id")?,
                    name: function_name(self.namespace.as_deref(), &name),
                    arguments: text(required(self.arguments, &param, "arguments")?, &param, "arguments")?,
                };
                assistant_turn(messages, index, |_| true).tool_calls.push(call);
                Ok(())
            }
            Some("custom_tool_call") => {
                let name = required(self.name, &param, "name")?;
                let call = ToolCall {
                    id: required(self.call_id, &param, "call_id")?,
                    name: function_name(self.namespace.as_deref(), &name),
                    arguments: custom_arguments(&required(self.input, &param, "input")?),
                };
                assistant_turn(messages, index, |_| true).tool_calls.push(call);
                Ok(())
            }
            Some(kind) if PROVIDER_ITEMS.contains(&kind) => {
                let turn = assistant_turn(messages, index, |turn| turn.tool_calls.is_empty());
                turn.attachments.push(self.into_opaque(param, turn.content.len()));
                Ok(())
            }
            Some("function_call_output" | "custom_tool_call_output") => {
                let id = required(self.call_id, &param, "call_id")?;
                let ItemOutput::Content(output) = required(self.output, &param, "output")? else {
                    let param = format!("{param}.output");
                    return Err(ApiError::invalid(
                        &param,
                        format!("{param} must be {}", ItemOutput::EXPECTED),
                    ));
                };
                let result = output.into_message(Role::Tool, &format!("{param}.output"))?;
                messages.push((index, Message { tool_call_id: Some(id), ..result }));
                Ok(())
            }
            // Of a tool that the client runs, an answer to the provider, the earlier conversation in the provider's form, or a new
            // type: another provider must not miss it.
            Some(_) => {
                let attachments = vec![self.into_opaque(param, 0)];
                messages.push((index, Message { attachments, ..Message::new(Role::User, "") }));
                Ok(())
            }
        }
    }

    fn into_opaque(self, param: String, at: usize) -> Attachment {
        let content = AttachmentContent::Opaque(Opaque { param, value: json!(self) });
        Attachment { at, images_before: 0, content }
    }

    fn append_message(
        self,
        messages: &mut IndexedMessages,
        index: usize,
        param: &str,
    ) -> Result<(), ApiError> {
        let role = match required(self.role, param, "role")? {
            ItemRole::User => Role::User,
            ItemRole::System | ItemRole::Developer => Role::System,
            ItemRole::Assistant => Role::Assistant,
        };
        let content = required(self.content, param, "content")?;
        let message = content.into_message(role, &format!("{param}.content"))?;
        if role == Role::Assistant {
            let continues = |turn: &Message| turn.content.is_empty() && turn.images.is_empty();
            let turn = assistant_turn(messages, index, continues);
            (turn.content, turn.images) = (message.content, message.images);
            // Items of the provider come before the text.
            let items = turn.attachments.len();
            turn.attachments.extend(message.attachments);
            turn.extra = message.extra.into_iter().map(|extra| after_parts(extra, items)).collect();
        } else {
            messages.push((index, message));
        }
        Ok(())
    }

    fn into_reasoning(self, param: &str) -> Result<Reasoning, ApiError> {
        let full = match self.content {
            Some(ItemContent::Text(text)) => text,
            Some(ItemContent::Parts(parts)) => joined_texts(parts, &format!("{param}.content"))?,
            None => String::new(),
        };
        let summary = joined_texts(self.summary.unwrap_or_default(), &format!("{param}.summary"))?;
        let text = if full.is_empty() { summary } else { full };
        let (signature, encrypted) =
            self.encrypted_content.map(encrypted_content::decode).unwrap_or_default();
        Ok(Reasoning { text, signature, encrypted })
    }
}

/// Moves the unknown fields of a part to the number that it has after `count` further parts.
fn after_parts(extra: PartExtra, count: usize) -> PartExtra {
    match extra.of {
        PartPlace::Part(number) => PartExtra { of: PartPlace::Part(number + count), ..extra },
        PartPlace::Message | PartPlace::Call(_) => extra,
    }
}

/// Returns the last message if it is the assistant's and `continues` accepts it, else a new one.
fn assistant_turn(
    messages: &mut IndexedMessages,
    index: usize,
    continues: impl Fn(&Message) -> bool,
) -> &mut Message {
    let is_open = messages.last().is_some_and(|(_, turn)| turn.role == Role::Assistant && continues(turn));
    if !is_open {
        messages.push((index, Message::new(Role::Assistant, "")));
    }
    let last = messages.len() - 1;
    &mut messages[last].1
}

/// Returns a text; `name` is its field below `param`.
fn text(value: Value, param: &str, name: &str) -> Result<String, ApiError> {
    match value {
        Value::String(text) => Ok(text),
        _ => Err(ApiError::invalid(format!("{param}.{name}"), format!("{param}.{name} must be a string"))),
    }
}

fn joined_texts(parts: Vec<ItemPart>, param: &str) -> Result<String, ApiError> {
    let mut texts = Vec::with_capacity(parts.len());
    for (index, part) in parts.into_iter().enumerate() {
        texts.push(required(part.text, format_args!("{param}[{index}]"), "text")?);
    }
    Ok(texts.join("\n\n"))
}

impl ItemContent {
    /// Converts the content to a message of `role`. `param` is the content's field, for the error.
    fn into_message(self, role: Role, param: &str) -> Result<Message, ApiError> {
        let parts = match self {
            Self::Text(text) => return Ok(Message::new(role, text)),
            Self::Parts(parts) => parts,
        };
        // Parts of a model's message continue each other.
        let separator = if role == Role::Assistant { "" } else { "\n" };
        let mut message = MessageParts::default();
        for (index, mut part) in parts.into_iter().enumerate() {
            let param = format!("{param}[{index}]");
            if let Some(id) = stored_id(&part) {
                part.extra.remove("file_id");
                if part.kind == "input_image" {
                    message.add_image(Image { detail: part.detail, ..Image::at(id) }, part.extra);
                } else {
                    let source = DocumentSource::Url(id);
                    message.add_document(Document { source, name: part.filename }, part.extra);
                }
                continue;
            }
            match part.kind.as_str() {
                "input_text" | "output_text" | "text" => {
                    // The sources in an answer's part are valid in that answer alone.
                    let fields = if part.kind == "output_text" { Map::new() } else { part.extra };
                    message.add_text(required(part.text, &param, "text")?, separator, fields);
                }
                "refusal" => {
                    message.add_text(required(part.refusal, &param, "refusal")?, separator, Map::new());
                }
                "input_image" if part.image_url.is_some() || !part.extra.contains_key("file_id") => {
                    let url = required(part.image_url, &param, "image_url")?;
                    message.add_image(Image { detail: part.detail, ..Image::at(url) }, part.extra);
                }
                "input_file" if part.file_data.is_some() || part.file_url.is_some() => {
                    let (data, field) = match (part.file_data.take(), part.file_url.take()) {
                        (Some(data), _) => (data, "file_data"),
                        (None, url) => (url.unwrap_or_default(), "file_url"),
                    };
                    let source = document_source(data, &format!("{param}.{field}"))?;
                    message.add_document(Document { source, name: part.filename }, part.extra);
                }
                "" => return Err(missing(format!("{param}.type"))),
                _ => message.add_opaque(param, json!(part)),
            }
        }
        Ok(message.into_message(role))
    }
}

/// The id of a file or an artifact of the gateway, if the part names one in place of its content.
fn stored_id(part: &ItemPart) -> Option<String> {
    let is_reference = match part.kind.as_str() {
        "input_image" => part.image_url.is_none(),
        "input_file" => part.file_data.is_none() && part.file_url.is_none(),
        _ => false,
    };
    let id = part.extra.get("file_id")?.as_str()?;
    (is_reference && is_stored(id)).then(|| id.to_owned())
}
