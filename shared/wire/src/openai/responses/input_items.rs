//! The field `input` of a request: a text or a list of items.

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{MapAccess, SeqAccess, value::MapAccessDeserializer},
};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::ResponsesTool;
use crate::{
    ApiError,
    forms::{self, Forms},
    json_body::from_value,
};

/// A user's text, or a list of items.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(untagged)]
pub enum ResponsesInput {
    /// A user's message.
    Text(String),
    /// The conversation, oldest first.
    Items(Vec<InputItem>),
}

impl<'de> Forms<'de> for ResponsesInput {
    const EXPECTED: &'static str = "a string or a list of items";

    fn from_text(text: String) -> Result<Self, String> {
        Ok(Self::Text(text))
    }

    fn from_list<A: SeqAccess<'de>>(items: A) -> Result<Self, A::Error> {
        forms::items(items).map(Self::Items)
    }
}

impl<'de> Deserialize<'de> for ResponsesInput {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        forms::deserialize(deserializer)
    }
}

/// An item of the input. Its fields depend on `type`.
#[derive(Debug, Clone, Default, Deserialize, Serialize, ToSchema)]
pub struct InputItem {
    /// `message`, which may be left out, `function_call`, `function_call_output`, `custom_tool_call`,
    /// `custom_tool_call_output` or `reasoning`; `item_reference`, for an item of a stored response; or
    /// `additional_tools`, which adds tools to the request's. An item of another type, such as `mcp_call` of an earlier
    /// response, is passed on to a provider of this dialect.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    #[schema(example = "message")]
    pub kind: Option<String>,
    /// Of `item_reference`: the id of the item.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Author of a message: `user`, `system`, `developer` or `assistant`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "user")]
    pub role: Option<ItemRole>,
    /// Text or parts of a message; in a `reasoning` item the reasoning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<ItemContent>,
    /// Id of a call; its output has the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call_id: Option<String>,
    /// Name of the function that is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Namespace of the function.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Arguments of a function call, as JSON text.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub arguments: Option<Value>,
    /// Input of a custom tool call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<String>,
    /// Of `additional_tools`: the tools.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<ResponsesTool>>, no_recursion)]
    pub tools: Option<Vec<Value>>,
    /// Output of a tool: a text, or `input_text` and `input_image` parts.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<ItemContent>)]
    pub output: Option<ItemOutput>,
    /// Summary of the reasoning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<Vec<ItemPart>>,
    /// Encrypted reasoning, as an earlier response contained it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encrypted_content: Option<String>,
    /// Unknown fields, for a provider of this dialect.
    #[serde(flatten)]
    #[schema(ignore)]
    pub extra: Map<String, Value>,
}

/// Author of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ItemRole {
    /// The user.
    User,
    /// Instructions.
    System,
    /// Instructions, by their newer name.
    Developer,
    /// The model.
    Assistant,
}

/// A text, or a list of parts.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(untagged)]
pub enum ItemContent {
    /// The whole text.
    Text(String),
    /// Parts, in order.
    Parts(Vec<ItemPart>),
}

impl<'de> Forms<'de> for ItemContent {
    const EXPECTED: &'static str = "a string or a list of content parts";

    fn from_text(text: String) -> Result<Self, String> {
        Ok(Self::Text(text))
    }

    fn from_list<A: SeqAccess<'de>>(parts: A) -> Result<Self, A::Error> {
        forms::items(parts).map(Self::Parts)
    }
}

impl<'de> Deserialize<'de> for ItemContent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        forms::deserialize(deserializer)
    }
}

/// Output of a tool: of a function, or of a tool of the provider's own.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum ItemOutput {
    /// Text or parts.
    Content(ItemContent),
    /// Any other object.
    Other(Map<String, Value>),
}

impl<'de> Forms<'de> for ItemOutput {
    const EXPECTED: &'static str = ItemContent::EXPECTED;

    fn from_text(text: String) -> Result<Self, String> {
        Ok(Self::Content(ItemContent::Text(text)))
    }

    fn from_list<A: SeqAccess<'de>>(parts: A) -> Result<Self, A::Error> {
        forms::items(parts).map(|parts| Self::Content(ItemContent::Parts(parts)))
    }

    fn from_object<A: MapAccess<'de>>(fields: A) -> Result<Self, A::Error> {
        Map::deserialize(MapAccessDeserializer::new(fields)).map(Self::Other)
    }
}

impl<'de> Deserialize<'de> for ItemOutput {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        forms::deserialize(deserializer)
    }
}

/// One part of an item.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct ItemPart {
    /// `input_text`, `input_image`, `input_file`, `output_text` or `refusal`; `summary_text` or `reasoning_text` in a
    /// `reasoning` item. A part of another type is passed on to a provider of this dialect, and refused elsewhere.
    #[serde(default, rename = "type", skip_serializing_if = "String::is_empty")]
    #[schema(required = true, example = "input_text")]
    pub kind: String,
    /// The text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Of `refusal`: the model's refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// Of `input_image`: URL of the image, or `data:image/png;base64,...`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_url: Option<String>,
    /// Of `input_image`: detail level, `auto`, `low` or `high`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Of `input_file`: `data:application/pdf;base64,...`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_data: Option<String>,
    /// Of `input_file`: URL of the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_url: Option<String>,
    /// Of `input_file`: name of the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
    /// Unknown fields, for a provider of this dialect.
    #[serde(flatten)]
    #[schema(ignore)]
    pub extra: Map<String, Value>,
}

impl ResponsesInput {
    /// Takes the tools out of the `additional_tools` items, each list with the item's field for errors.
    ///
    /// # Errors
    /// `invalid_request`, naming the field of a tool that isn't one.
    pub(super) fn take_additional_tools(&mut self) -> Result<Vec<(String, Vec<ResponsesTool>)>, ApiError> {
        let Self::Items(items) = self else { return Ok(Vec::new()) };
        let mut taken = Vec::new();
        for (index, item) in items.iter_mut().enumerate().filter(|(_, item)| item.has_additional_tools()) {
            let param = format!("input[{index}]");
            let tools = item.tools.take().unwrap_or_default().into_iter().enumerate();
            let tools = tools.map(|(number, tool)| from_value(tool, &format!("{param}.tools[{number}]")));
            let tools = tools.collect::<Result<_, _>>()?;
            taken.push((param, tools));
        }
        Ok(taken)
    }
}

impl InputItem {
    /// An item that adds nothing to the conversation.
    pub(super) fn without_effect() -> Self {
        Self { kind: Some("additional_tools".to_owned()), ..Self::default() }
    }

    /// Returns whether it is [without effect](Self::without_effect).
    pub(super) fn has_no_effect(&self) -> bool {
        self.kind.as_deref() == Some("additional_tools") && self.tools.is_none()
    }

    /// Returns whether it is reasoning without its encrypted content: what a client reads unless it asks for that.
    pub(super) fn is_bare_reasoning(&self) -> bool {
        self.kind.as_deref() == Some("reasoning") && self.encrypted_content.is_none()
    }

    /// The tools of an `additional_tools` item.
    pub(super) fn additional_tools(&self) -> impl Iterator<Item = ResponsesTool> {
        let tools = self.tools.iter().flatten().filter(|_| self.has_additional_tools());
        tools.filter_map(|tool| ResponsesTool::deserialize(tool).ok())
    }

    fn has_additional_tools(&self) -> bool {
        self.tools.is_some() && self.kind.as_deref() == Some("additional_tools")
    }
}
