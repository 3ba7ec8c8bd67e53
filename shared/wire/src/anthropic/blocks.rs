//! The messages of a request: turns, which consist of blocks.

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{MapAccess, SeqAccess},
};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::forms::{self, Forms};

/// One turn of a conversation.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
pub struct MessagesTurn {
    /// `user`, `assistant`, or `system` for instructions in the middle of a conversation.
    #[schema(example = "user")]
    pub role: MessagesRole,
    /// A text, or a list of blocks.
    pub content: MessagesContent,
}

/// Role of a turn's author.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum MessagesRole {
    /// The user, whose turns also contain the results of calls.
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
    /// Content of a block of an unknown type.
    #[schema(value_type = Object)]
    Other(Map<String, Value>),
}

impl<'de> Forms<'de> for MessagesContent {
    const EXPECTED: &'static str = "a string or a list of content blocks";

    fn from_text(text: String) -> Result<Self, String> {
        Ok(Self::Text(text))
    }

    fn from_list<A: SeqAccess<'de>>(blocks: A) -> Result<Self, A::Error> {
        forms::items(blocks).map(Self::Blocks)
    }

    fn from_object<A: MapAccess<'de>>(fields: A) -> Result<Self, A::Error> {
        forms::object(fields).map(Self::Other)
    }
}

impl<'de> Deserialize<'de> for MessagesContent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        forms::deserialize(deserializer)
    }
}

/// A block of a turn. Its fields depend on `type`.
#[derive(Debug, Clone, Default, Deserialize, Serialize, ToSchema)]
pub struct MessagesBlock {
    /// `text`, `image`, `document`, `tool_use`, `tool_result`, `thinking` or `redacted_thinking`. A block of another type
    /// is passed on to a provider of this dialect, and refused elsewhere.
    #[serde(rename = "type")]
    #[schema(example = "text")]
    pub kind: String,
    /// Of `text`: the text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Of `image` and `document`: the file or its address.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<MessagesSource>)]
    pub source: Option<MessagesBlockSource>,
    /// Of `document`: the name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Of `tool_use`: id of the call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Of `tool_use`: the tool's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Of `tool_use`: the arguments.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub input: Option<Map<String, Value>>,
    /// Of `tool_result`: id of the call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_use_id: Option<String>,
    /// Of `tool_result`: the result, a text or a list of text and image blocks.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(no_recursion)]
    pub content: Option<MessagesContent>,
    /// Of `tool_result`: true if the tool failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_error: Option<bool>,
    /// Of `thinking`: the reasoning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thinking: Option<String>,
    /// Of `thinking`: the vendor's signature.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// Of `redacted_thinking`: the encrypted reasoning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// Asks a provider of this dialect to cache the prompt up to this block.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub cache_control: Option<Value>,
    /// Unknown fields, for a provider of this dialect.
    #[serde(flatten)]
    #[schema(ignore)]
    pub extra: Map<String, Value>,
}

/// The field `source` of a block.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum MessagesBlockSource {
    /// An image or a document, or its address.
    File(MessagesSource),
    /// A text, as in a `search_result` block.
    Text(String),
}

impl<'de> Forms<'de> for MessagesBlockSource {
    const EXPECTED: &'static str = "an object or a string";

    fn from_text(text: String) -> Result<Self, String> {
        Ok(Self::Text(text))
    }

    fn from_object<A: MapAccess<'de>>(fields: A) -> Result<Self, A::Error> {
        forms::object(fields).map(Self::File)
    }
}

impl<'de> Deserialize<'de> for MessagesBlockSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        forms::deserialize(deserializer)
    }
}

/// An image or a document, or its address.
#[derive(Debug, Clone, Default, Deserialize, Serialize, ToSchema)]
pub struct MessagesSource {
    /// `base64` or `url`; of a document also `text` or `content`.
    #[serde(rename = "type")]
    #[schema(example = "base64")]
    pub kind: String,
    /// Of `base64`: media type, such as `image/png` or `application/pdf`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// Of `base64`: the file, in base64. Of `text`: the text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// Of `url`: the address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Unknown fields, for a provider of this dialect.
    #[serde(flatten)]
    #[schema(ignore)]
    pub extra: Map<String, Value>,
}

impl MessagesBlock {
    /// Takes the fields for a provider of this dialect: the unknown ones and `cache_control`.
    pub(super) fn take_vendor_fields(&mut self) -> Map<String, Value> {
        let mut fields = std::mem::take(&mut self.extra);
        fields.retain(|_, value| !value.is_null());
        fields.extend(self.cache_control.take().map(|control| ("cache_control".to_owned(), control)));
        fields
    }
}
