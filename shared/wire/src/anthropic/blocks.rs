//! The messages of a request: turns of blocks.

use std::fmt;

use hearth_domain::{Message, PartPlace, Reasoning, Role, ToolCall};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{
        MapAccess, SeqAccess, Visitor,
        value::{MapAccessDeserializer, SeqAccessDeserializer},
    },
};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::thoughts::unpack;
use crate::{ApiError, parts::MessageParts};

/// One turn of a conversation.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
pub struct MessagesTurn {
    /// `user`, `assistant`, or `system` for instructions in the middle of a conversation.
    #[schema(value_type = String, example = "user")]
    pub role: MessagesRole,
    /// A text, or a list of blocks.
    pub content: MessagesContent,
}

/// Whose turn it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MessagesRole {
    /// Who asks; also gives the results of calls.
    User,
    /// The model.
    Assistant,
    /// Instructions.
    System,
}

/// A text, or a list of blocks.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(untagged)]
pub enum MessagesContent {
    /// The whole text.
    Text(String),
    /// Blocks, in order.
    Blocks(Vec<MessagesBlock>),
    /// What a block that the gateway does not know has as its content.
    #[schema(value_type = Object)]
    Other(Map<String, Value>),
}

/// By hand and not `untagged`, which would tell neither the block nor the field at fault.
impl<'de> Deserialize<'de> for MessagesContent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ContentVisitor)
    }
}

struct ContentVisitor;

impl<'de> Visitor<'de> for ContentVisitor {
    type Value = MessagesContent;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or a list of content blocks")
    }

    fn visit_str<E>(self, text: &str) -> Result<MessagesContent, E> {
        Ok(MessagesContent::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<MessagesContent, E> {
        Ok(MessagesContent::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, blocks: A) -> Result<MessagesContent, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(blocks)).map(MessagesContent::Blocks)
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<MessagesContent, A::Error> {
        Map::deserialize(MapAccessDeserializer::new(fields)).map(MessagesContent::Other)
    }
}

/// A piece of a turn. Which fields it has depends on its type.
#[derive(Debug, Clone, Default, Deserialize, Serialize, ToSchema)]
pub struct MessagesBlock {
    /// `text`, `image`, `document`, `tool_use`, `tool_result`, `thinking` or `redacted_thinking`. A block of another
    /// type is for a provider of this dialect alone.
    #[serde(rename = "type")]
    #[schema(example = "text")]
    pub kind: String,
    /// Of `text`: the text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Of `image` and `document`: where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<MessagesSource>)]
    pub source: Option<MessagesBlockSource>,
    /// Of `document`: its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Of `tool_use`: what its result is given back under.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Of `tool_use`: the tool's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Of `tool_use`: the arguments.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub input: Option<Map<String, Value>>,
    /// Of `tool_result`: the call that it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_use_id: Option<String>,
    /// Of `tool_result`: what came of it, a text or a list of text and image blocks.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(no_recursion)]
    pub content: Option<MessagesContent>,
    /// Of `tool_result`: whether the tool failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_error: Option<bool>,
    /// Of `thinking`: the thoughts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thinking: Option<String>,
    /// Of `thinking`: their maker's seal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// Of `redacted_thinking`: the thoughts as only their maker can read them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// Asks a provider of this dialect to keep what it has computed up to here.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub cache_control: Option<Value>,
    /// What a provider of this dialect may know.
    #[serde(flatten)]
    #[schema(ignore)]
    pub extra: Map<String, Value>,
}

/// Where a block's content is, or what a block that the gateway does not know calls its source.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum MessagesBlockSource {
    /// Where an image or a document is.
    At(MessagesSource),
    /// A text, as in `search_result`.
    Name(String),
}

/// By hand and not `untagged`, which would not tell the field at fault.
impl<'de> Deserialize<'de> for MessagesBlockSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SourceVisitor;

        impl<'de> Visitor<'de> for SourceVisitor {
            type Value = MessagesBlockSource;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object or a string")
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(MessagesBlockSource::Name(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Self::Value, A::Error> {
                MessagesSource::deserialize(MapAccessDeserializer::new(fields)).map(MessagesBlockSource::At)
            }
        }

        deserializer.deserialize_any(SourceVisitor)
    }
}

/// Where an image or a document is.
#[derive(Debug, Clone, Default, Deserialize, Serialize, ToSchema)]
pub struct MessagesSource {
    /// `base64` or `url`; of a document also `text` or `content`.
    #[serde(rename = "type")]
    #[schema(example = "base64")]
    pub kind: String,
    /// Of `base64`: such as `image/png` or `application/pdf`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// Of `base64`: the file. Of `text`: the text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// Of `url`: the address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// What a provider of this dialect may know.
    #[serde(flatten)]
    #[schema(ignore)]
    pub extra: Map<String, Value>,
}

impl MessagesContent {
    /// Each block with its place below `param`; a text is a block of its own.
    ///
    /// # Errors
    /// `invalid_request` for what is neither.
    pub(super) fn blocks(self, param: &str) -> Result<Vec<(String, MessagesBlock)>, ApiError> {
        match self {
            Self::Text(text) => {
                let block =
                    MessagesBlock { kind: "text".to_owned(), text: Some(text), ..MessagesBlock::default() };
                Ok(vec![(param.to_owned(), block)])
            }
            Self::Blocks(blocks) => {
                let placed = blocks.into_iter().enumerate();
                Ok(placed.map(|(index, block)| (format!("{param}[{index}]"), block)).collect())
            }
            Self::Other(_) => {
                Err(ApiError::invalid(param, format!("{param} must be a string or a list of content blocks")))
            }
        }
    }

    /// Text, images, documents, and blocks that only this dialect knows.
    fn shown(self, param: &str, between: &'static str) -> Result<MessageParts, ApiError> {
        let mut shown = MessageParts::default();
        for (at, block) in self.blocks(param)? {
            block.add_to(&mut shown, &at, between)?;
        }
        Ok(shown)
    }

    /// The instructions that it is. `param` is where it stood, for the error.
    ///
    /// # Errors
    /// `invalid_request` for a block that isn't text.
    pub(super) fn into_system(self, param: &str) -> Result<Message, ApiError> {
        let message = self.shown(param, "\n\n")?.into_message(Role::System);
        if !message.is_text_only() {
            return Err(ApiError::invalid(param, format!("{param} must be text")));
        }
        Ok(message)
    }
}

impl MessagesTurn {
    /// The messages that the turn is. With each comes the place of the id of the call that it answers, for
    /// errors. `param` is where the turn stood.
    ///
    /// # Errors
    /// `invalid_request`, naming the block or the field.
    pub(super) fn into_domain(self, param: &str) -> Result<Vec<(Message, String)>, ApiError> {
        let at = format!("{param}.content");
        match self.role {
            MessagesRole::User => user(self.content, &at),
            MessagesRole::Assistant => Ok(vec![(assistant(self.content, &at)?, at)]),
            MessagesRole::System => Ok(vec![(self.content.into_system(&at)?, at)]),
        }
    }
}

/// The results of calls, and then what the user says.
fn user(content: MessagesContent, param: &str) -> Result<Vec<(Message, String)>, ApiError> {
    let (mut results, mut shown, mut says) = (Vec::new(), MessageParts::default(), false);
    for (at, block) in content.blocks(param)? {
        if block.kind == "tool_result" {
            results.push((block.result(&at)?, format!("{at}.tool_use_id")));
        } else {
            block.add_to(&mut shown, &at, "\n")?;
            says = true;
        }
    }
    if says || results.is_empty() {
        results.push((shown.into_message(Role::User), param.to_owned()));
    }
    Ok(results)
}

fn assistant(content: MessagesContent, param: &str) -> Result<Message, ApiError> {
    let (mut shown, mut reasoning, mut tool_calls) = (MessageParts::default(), Vec::new(), Vec::new());
    for (at, mut block) in content.blocks(param)? {
        match block.kind.as_str() {
            "tool_use" => {
                let extra = block.further();
                shown.add_extra(PartPlace::Call(tool_calls.len()), extra);
                tool_calls.push(block.call(&at)?);
            }
            "thinking" => {
                let text = given(&block.thinking, &at, "thinking")?.clone();
                let signature = block.signature.filter(|signature| !signature.is_empty());
                reasoning.push(Reasoning { text, signature, encrypted: None });
            }
            "redacted_thinking" => {
                let sealed = unpack(given(&block.data, &at, "data")?.clone());
                match reasoning.last_mut() {
                    // Another maker's thoughts, which were told as two blocks.
                    Some(open)
                        if open.signature.is_none()
                            && open.encrypted.is_none()
                            && sealed.signature.is_none()
                            && sealed.text.is_empty() =>
                    {
                        open.encrypted = sealed.encrypted;
                    }
                    _ => reasoning.push(sealed),
                }
            }
            // What the model said in several blocks it said in one go.
            _ => block.add_to(&mut shown, &at, "")?,
        }
    }
    Ok(Message { reasoning, tool_calls, ..shown.into_message(Role::Assistant) })
}

impl MessagesBlock {
    fn result(mut self, at: &str) -> Result<Message, ApiError> {
        let id = given(&self.tool_use_id, at, "tool_use_id")?.clone();
        let extra = self.further();
        let mut shown = match self.content {
            Some(content) => content.shown(&format!("{at}.content"), "\n")?,
            None => MessageParts::default(),
        };
        shown.add_extra(PartPlace::Message, extra);
        Ok(Message {
            tool_call_id: Some(id),
            failed: self.is_error.unwrap_or(false),
            ..shown.into_message(Role::Tool)
        })
    }

    fn call(&self, at: &str) -> Result<ToolCall, ApiError> {
        let input = self.input.clone().unwrap_or_default();
        Ok(ToolCall {
            id: given(&self.id, at, "id")?.clone(),
            name: given(&self.name, at, "name")?.clone(),
            arguments: Value::Object(input).to_string(),
        })
    }

    /// Takes the fields that only a provider of this dialect understands.
    pub(super) fn further(&mut self) -> Map<String, Value> {
        let mut fields = std::mem::take(&mut self.extra);
        fields.retain(|_, value| !value.is_null());
        fields.extend(self.cache_control.take().map(|control| ("cache_control".to_owned(), control)));
        fields
    }
}

/// A field that the block's type asks for.
pub(super) fn given<'a, T>(field: &'a Option<T>, at: &str, name: &str) -> Result<&'a T, ApiError> {
    field.as_ref().ok_or_else(|| {
        let param = format!("{at}.{name}");
        let message = format!("{param} is missing");
        ApiError::invalid(param, message)
    })
}
