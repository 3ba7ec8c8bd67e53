//! What a request's `input` has: items, and the messages that they are.
//!
//! A turn of the assistant's is several items: its thoughts, its text, each of its calls. Here they are
//! one message again.

use std::fmt;

use hearth_domain::{Document, Image, Message, Reasoning, Role, ToolCall};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{SeqAccess, Visitor, value::SeqAccessDeserializer},
};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::{
    ResponsesTool,
    offer::{additional, custom_arguments, function_name},
};
use crate::{ApiError, openai::content::document_source, parts::MessageParts};

/// A text that the user says, or a list of items.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(untagged)]
pub enum ResponsesInput {
    /// What the user says.
    Text(String),
    /// The conversation, oldest first.
    Items(Vec<InputItem>),
}

/// Not derived: that would hide which field of an item is at fault.
impl<'de> Deserialize<'de> for ResponsesInput {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = ResponsesInput;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a list of items")
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(ResponsesInput::Text(text.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Self::Value, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(items)).map(ResponsesInput::Items)
            }
        }

        deserializer.deserialize_any(Either)
    }
}

/// One item. What a `type` doesn't know may be left out.
#[derive(Debug, Clone, Default, Deserialize, Serialize, ToSchema)]
pub struct InputItem {
    /// `message`, which may be left out, `function_call`, `function_call_output`, `custom_tool_call`,
    /// `custom_tool_call_output` or `reasoning`; `item_reference`, for an item of a response that was stored; or
    /// `additional_tools`, which adds tools to the request's.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    #[schema(example = "message")]
    pub kind: Option<String>,
    /// What an `item_reference` names: the id of the item.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Who says a message: `user`, `system`, `developer` or `assistant`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "user")]
    pub role: Option<ItemRole>,
    /// A message's text or parts; in a `reasoning` item the thoughts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<ItemContent>,
    /// The id that a call has, and that its output names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call_id: Option<String>,
    /// The function that is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The namespace of the function.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The call's arguments, a JSON text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arguments: Option<String>,
    /// What a custom tool is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<String>,
    /// The tools of `additional_tools`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(no_recursion)]
    pub tools: Option<Vec<ResponsesTool>>,
    /// What the function gave: a text, or `input_text` and `input_image` parts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<ItemContent>,
    /// A summary of the thoughts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<Vec<ItemPart>>,
    /// The thoughts in the form that goes back to their maker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encrypted_content: Option<String>,
}

/// Who says a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ItemRole {
    /// Who asks.
    User,
    /// Instructions.
    System,
    /// Instructions, under their newer name.
    Developer,
    /// The model.
    Assistant,
}

/// A text, or a list of parts.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(untagged, expecting = "expected a string or a list of content parts")]
pub enum ItemContent {
    /// The whole text.
    Text(String),
    /// Parts of it, in order.
    Parts(Vec<ItemPart>),
}

/// One part of an item.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct ItemPart {
    /// `input_text`, `input_image`, `input_file`, `output_text` or `refusal`; `summary_text` or `reasoning_text` in a
    /// `reasoning` item. A part of another type is for a provider of this dialect alone.
    #[serde(rename = "type")]
    #[schema(example = "input_text")]
    pub kind: String,
    /// The text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// What the model said instead of an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// An image's address, or `data:image/png;base64,...`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_url: Option<String>,
    /// How closely to look at an image: `auto`, `low` or `high`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Of a file: `data:application/pdf;base64,...`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_data: Option<String>,
    /// Of a file: its address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_url: Option<String>,
    /// Of a file: its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
    /// What a provider of this dialect may know.
    #[serde(flatten)]
    #[schema(ignore)]
    pub extra: Map<String, Value>,
}

/// Messages, and for each the index of the item that it began with.
pub(super) type Placed = Vec<(usize, Message)>;

impl ResponsesInput {
    /// Takes out the items that add tools to the request's: where each stood, and its tools.
    pub(super) fn take_tools(&mut self) -> Vec<(String, Vec<ResponsesTool>)> {
        let Self::Items(items) = self else { return Vec::new() };
        let mut taken = Vec::new();
        for (index, item) in items.iter_mut().enumerate() {
            if additional(item).is_some() {
                taken.push((format!("input[{index}]"), item.tools.take().unwrap_or_default()));
            }
        }
        taken
    }

    /// The messages that it is.
    ///
    /// # Errors
    /// `invalid_request`, naming the field.
    pub(super) fn into_messages(self) -> Result<Placed, ApiError> {
        let items = match self {
            Self::Text(text) => return Ok(vec![(0, Message::new(Role::User, text))]),
            Self::Items(items) => items,
        };
        let mut said = Vec::with_capacity(items.len());
        for (index, item) in items.into_iter().enumerate() {
            item.append_to(&mut said, index)?;
        }
        Ok(said)
    }
}

impl InputItem {
    fn append_to(self, said: &mut Placed, index: usize) -> Result<(), ApiError> {
        let param = format!("input[{index}]");
        match self.kind.as_deref() {
            // Its tools were taken out before.
            Some("additional_tools") => Ok(()),
            None | Some("message") => self.message(said, index, &param),
            Some("reasoning") => {
                let block = self.thoughts(&param)?;
                // Thoughts between two calls of a turn belong to it; those after its text begin another.
                let fits = |turn: &Message| turn.content.is_empty() || !turn.tool_calls.is_empty();
                assistants_turn(said, index, fits).reasoning.push(block);
                Ok(())
            }
            Some("function_call") => {
                let name = needed(self.name, &param, "name")?;
                let call = ToolCall {
                    id: needed(self.call_id, &param, "call_id")?,
                    name: function_name(self.namespace.as_deref(), &name),
                    arguments: needed(self.arguments, &param, "arguments")?,
                };
                assistants_turn(said, index, |_| true).tool_calls.push(call);
                Ok(())
            }
            Some("custom_tool_call") => {
                let name = needed(self.name, &param, "name")?;
                let call = ToolCall {
                    id: needed(self.call_id, &param, "call_id")?,
                    name: function_name(self.namespace.as_deref(), &name),
                    arguments: custom_arguments(&needed(self.input, &param, "input")?),
                };
                assistants_turn(said, index, |_| true).tool_calls.push(call);
                Ok(())
            }
            // What a provider's own search did: its findings are in the text behind it.
            Some("web_search_call") => Ok(()),
            Some("function_call_output" | "custom_tool_call_output") => {
                let id = needed(self.call_id, &param, "call_id")?;
                let output = needed(self.output, &param, "output")?;
                let result = output.into_message(Role::Tool, &format!("{param}.output"))?;
                said.push((index, Message { tool_call_id: Some(id), ..result }));
                Ok(())
            }
            Some(other) => {
                let message = format!(
                    "an item of type {other:?} was given; the gateway takes message, function_call, \
                     function_call_output, custom_tool_call, custom_tool_call_output, reasoning, additional_tools \
                     and item_reference"
                );
                Err(ApiError::invalid(format!("{param}.type"), message))
            }
        }
    }

    fn message(self, said: &mut Placed, index: usize, param: &str) -> Result<(), ApiError> {
        let role = match needed(self.role, param, "role")? {
            ItemRole::User => Role::User,
            ItemRole::System | ItemRole::Developer => Role::System,
            ItemRole::Assistant => Role::Assistant,
        };
        let content = needed(self.content, param, "content")?;
        let message = content.into_message(role, &format!("{param}.content"))?;
        if role == Role::Assistant {
            let turn = assistants_turn(said, index, |turn| turn.content.is_empty());
            (turn.content, turn.images) = (message.content, message.images);
            (turn.attachments, turn.extra) = (message.attachments, message.extra);
        } else {
            said.push((index, message));
        }
        Ok(())
    }

    fn thoughts(self, param: &str) -> Result<Reasoning, ApiError> {
        let full = match self.content {
            Some(ItemContent::Text(text)) => text,
            Some(ItemContent::Parts(parts)) => thought(parts, &format!("{param}.content"))?,
            None => String::new(),
        };
        let summary = thought(self.summary.unwrap_or_default(), &format!("{param}.summary"))?;
        let text = if full.is_empty() { summary } else { full };
        let (signature, encrypted) = self.encrypted_content.map(unsealed).unwrap_or_default();
        Ok(Reasoning { text, signature, encrypted })
    }
}

/// The assistant's last turn, if nobody has spoken since and it `fits`; else a new one.
fn assistants_turn(said: &mut Placed, index: usize, fits: impl Fn(&Message) -> bool) -> &mut Message {
    let goes_on = said.last().is_some_and(|(_, turn)| turn.role == Role::Assistant && fits(turn));
    if !goes_on {
        said.push((index, Message::new(Role::Assistant, "")));
    }
    let last = said.len() - 1;
    &mut said[last].1
}

fn thought(parts: Vec<ItemPart>, param: &str) -> Result<String, ApiError> {
    let mut texts = Vec::with_capacity(parts.len());
    for (index, part) in parts.into_iter().enumerate() {
        texts.push(needed(part.text, &format!("{param}[{index}]"), "text")?);
    }
    Ok(texts.join("\n\n"))
}

impl ItemContent {
    /// The message of `role` that says it. `param` is where it stood, for the error.
    fn into_message(self, role: Role, param: &str) -> Result<Message, ApiError> {
        let parts = match self {
            Self::Text(text) => return Ok(Message::new(role, text)),
            Self::Parts(parts) => parts,
        };
        // What the model said in several parts it said in one go.
        let between = if role == Role::Assistant { "" } else { "\n" };
        let mut message = MessageParts::default();
        for (index, mut part) in parts.into_iter().enumerate() {
            let param = format!("{param}[{index}]");
            match part.kind.as_str() {
                "input_text" | "output_text" | "text" => {
                    // What an answer's part says of its sources goes with that answer alone.
                    let fields = if part.kind == "output_text" { Map::new() } else { part.extra };
                    message.add_text(&needed(part.text, &param, "text")?, between, fields);
                }
                "refusal" => {
                    message.add_text(&needed(part.refusal, &param, "refusal")?, between, Map::new());
                }
                "input_image" if part.image_url.is_some() || !part.extra.contains_key("file_id") => {
                    let url = needed(part.image_url, &param, "image_url")?;
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
                _ => message.add_opaque(param, json!(part)),
            }
        }
        Ok(message.into_message(role))
    }
}

fn needed<T>(value: Option<T>, param: &str, field: &str) -> Result<T, ApiError> {
    let missing = || {
        let param = format!("{param}.{field}");
        let message = format!("{param} is missing");
        ApiError::invalid(param, message)
    };
    value.ok_or_else(missing)
}

/// This API has one field for what only the thoughts' maker can read. Where a maker signs its thoughts
/// instead, the signature goes there, on a line of its own.
const SIGNATURE: &str = "signature:";

/// What goes back to the thoughts' maker, if there is anything.
pub(super) fn sealed(block: &Reasoning) -> Option<String> {
    match (&block.signature, &block.encrypted) {
        (None, encrypted) => encrypted.clone(),
        (Some(signature), None) => Some(format!("{SIGNATURE}{signature}")),
        (Some(signature), Some(encrypted)) => Some(format!("{SIGNATURE}{signature}\n{encrypted}")),
    }
}

/// The signature and the thoughts that only their maker can read.
fn unsealed(text: String) -> (Option<String>, Option<String>) {
    match text.strip_prefix(SIGNATURE).map(|rest| rest.split_once('\n').ok_or(rest)) {
        None => (None, Some(text)),
        Some(Err(signature)) => (Some(signature.to_owned()), None),
        Some(Ok((signature, encrypted))) => (Some(signature.to_owned()), Some(encrypted.to_owned())),
    }
}
