//! Converts input items to messages.
//!
//! This API splits an assistant's turn into several items: its reasoning, its text, each of its calls. They become one
//! message.

use hearth_domain::{Document, DocumentSource, Image, Message, Reasoning, Role, ToolCall};
use serde_json::{Map, Value, json};

use super::{
    InputItem, ItemContent, ItemOutput, ItemPart, ItemRole, ResponsesInput, custom_tools::custom_arguments,
    encrypted_content, is_hosted_item, text_fields::sent_text_fields, tool_names::function_name,
};
use crate::{
    ApiError,
    content::{document_source, is_stored},
    forms::Forms as _,
    message_parts::MessageParts,
    required::{missing, required},
};

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
        let mut conversation = Conversation { messages: Vec::with_capacity(items.len()), turn: None };
        for (index, item) in items.into_iter().enumerate() {
            item.check_depth(index)?;
            item.append_to(&mut conversation, index)?;
        }
        Ok(conversation.into_messages())
    }
}

/// The messages of the items so far.
struct Conversation {
    messages: IndexedMessages,
    /// The assistant's turn to which the last items belong, with the index of its first item.
    turn: Option<(usize, AssistantTurn)>,
}

impl Conversation {
    /// Adds a message of another role.
    fn push(&mut self, index: usize, message: Message) {
        self.end_turn();
        self.messages.push((index, message));
    }

    /// Returns the open turn if `continues` accepts it, else a new one.
    fn assistant_turn(
        &mut self,
        index: usize,
        continues: impl Fn(&AssistantTurn) -> bool,
    ) -> &mut AssistantTurn {
        if self.turn.as_ref().is_some_and(|(_, turn)| !continues(turn)) {
            self.end_turn();
        }
        &mut self.turn.get_or_insert_with(|| (index, AssistantTurn::default())).1
    }

    fn end_turn(&mut self) {
        if let Some((index, turn)) = self.turn.take() {
            self.messages.push((index, turn.into_message()));
        }
    }

    fn into_messages(mut self) -> IndexedMessages {
        self.end_turn();
        self.messages
    }
}

/// Consecutive items of the assistant that become one message. A turn with calls has all items up to their results, which must
/// follow its message.
#[derive(Default)]
struct AssistantTurn {
    parts: MessageParts,
    /// True if it has the content of a message.
    has_message: bool,
    reasoning: Vec<Reasoning>,
    tool_calls: Vec<ToolCall>,
}

impl AssistantTurn {
    /// Returns whether reasoning belongs to it. After a text or an item it begins another turn.
    fn takes_reasoning(&self) -> bool {
        self.parts.part_count() == 0 || !self.tool_calls.is_empty()
    }

    /// Returns whether a message belongs to it. After another message it begins another turn.
    fn takes_message(&self) -> bool {
        !self.has_message || !self.tool_calls.is_empty()
    }

    fn add_reasoning(&mut self, block: Reasoning) {
        self.parts.add_reasoning_place();
        self.reasoning.push(block);
    }

    fn add_call(&mut self, call: ToolCall) {
        self.parts.add_call_place();
        self.tool_calls.push(call);
    }

    fn into_message(self) -> Message {
        let Self { parts, reasoning, tool_calls, .. } = self;
        Message { reasoning, tool_calls, ..parts.into_message(Role::Assistant) }
    }
}

impl InputItem {
    fn append_to(self, conversation: &mut Conversation, index: usize) -> Result<(), ApiError> {
        let param = format!("input[{index}]");
        match self.kind.as_deref() {
            // Its tools were taken out before.
            Some("additional_tools") => {}
            None | Some("message") => self.append_message(conversation, index, &param)?,
            Some("reasoning") => {
                let block = self.into_reasoning(&param)?;
                conversation.assistant_turn(index, AssistantTurn::takes_reasoning).add_reasoning(block);
            }
            Some("function_call") => {
                let name = required(self.name, &param, "name")?;
                let call = ToolCall {
                    id: required(self.call_id, &param, "call_id")?,
                    name: function_name(self.namespace.as_deref(), &name),
                    arguments: text(required(self.arguments, &param, "arguments")?, &param, "arguments")?,
                };
                conversation.assistant_turn(index, |_| true).add_call(call);
            }
            Some("custom_tool_call") => {
                let name = required(self.name, &param, "name")?;
                let call = ToolCall {
                    id: required(self.call_id, &param, "call_id")?,
                    name: function_name(self.namespace.as_deref(), &name),
                    arguments: custom_arguments(&required(self.input, &param, "input")?),
                };
                conversation.assistant_turn(index, |_| true).add_call(call);
            }
            // The stored response has it without its content.
            Some(_) if self.lacks_content() => {}
            Some(kind) if is_hosted_item(kind) => {
                conversation.assistant_turn(index, |_| true).parts.add_opaque(param, json!(self));
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
                conversation.push(index, Message { tool_call_id: Some(id), ..result });
            }
            // Of a tool that the client runs, an answer to the provider, the earlier conversation in the provider's form, or a new
            // type: another provider must not miss it.
            Some(_) => {
                let mut parts = MessageParts::default();
                parts.add_opaque(param, json!(self));
                conversation.push(index, parts.into_message(Role::User));
            }
        }
        Ok(())
    }

    fn append_message(
        self,
        conversation: &mut Conversation,
        index: usize,
        param: &str,
    ) -> Result<(), ApiError> {
        let role = match required(self.role, param, "role")? {
            ItemRole::User => Role::User,
            ItemRole::System | ItemRole::Developer => Role::System,
            ItemRole::Assistant => Role::Assistant,
        };
        let content = required(self.content, param, "content")?;
        let param = format!("{param}.content");
        if role == Role::Assistant {
            let turn = conversation.assistant_turn(index, AssistantTurn::takes_message);
            turn.parts.begin_item();
            turn.has_message |= content.add_to(&mut turn.parts, role, &self.extra, &param)?;
        } else {
            conversation.push(index, content.into_message(role, &param)?);
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
        let mut parts = MessageParts::default();
        self.add_to(&mut parts, role, &Map::new(), param)?;
        Ok(parts.into_message(role))
    }

    /// Adds the content to a message of `role`, which has the unknown fields `item`. Returns whether there is any.
    fn add_to(
        self,
        message: &mut MessageParts,
        role: Role,
        item: &Map<String, Value>,
        param: &str,
    ) -> Result<bool, ApiError> {
        let is_model = role == Role::Assistant;
        // Parts of a model's message continue each other.
        let separator = if is_model { "" } else { "\n" };
        let before = message.part_count();
        let parts = match self {
            Self::Text(text) => {
                message.add_text(text, separator, sent_text_fields(&Map::new(), item));
                return Ok(message.part_count() > before);
            }
            Self::Parts(parts) => parts,
        };
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
                    let fields = match part.kind.as_str() {
                        _ if is_model => sent_text_fields(&part.extra, item),
                        // The sources in an answer's part are the model's.
                        "output_text" => Map::new(),
                        _ => part.extra,
                    };
                    message.add_text(required(part.text, &param, "text")?, separator, fields);
                }
                "refusal" => {
                    let fields = sent_text_fields(&Map::new(), item);
                    message.add_text(required(part.refusal, &param, "refusal")?, separator, fields);
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
        Ok(message.part_count() > before)
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
