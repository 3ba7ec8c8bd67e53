//! The messages of a request: turns of blocks.

use std::fmt;

use hearth_domain::{Image, ImageSource, Message, PlacedImage, Reasoning, Role, ToolCall};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{SeqAccess, Visitor, value::SeqAccessDeserializer},
};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::thoughts::unpack;
use crate::ApiError;

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
}

/// A piece of a turn. Which fields it has depends on its type.
#[derive(Debug, Clone, Default, Deserialize, Serialize, ToSchema)]
pub struct MessagesBlock {
    /// `text`, `image`, `tool_use`, `tool_result`, `thinking` or `redacted_thinking`.
    #[serde(rename = "type")]
    #[schema(example = "text")]
    pub kind: String,
    /// Of `text`: the text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Of `image`: where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<MessagesImageSource>,
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
}

/// Where an image is.
#[derive(Debug, Clone, Default, Deserialize, Serialize, ToSchema)]
pub struct MessagesImageSource {
    /// `base64` or `url`.
    #[serde(rename = "type")]
    #[schema(example = "base64")]
    pub kind: String,
    /// Of `base64`: such as `image/png`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// Of `base64`: the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// Of `url`: the address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

impl MessagesContent {
    /// Each block with its place below `param`; a text is a block of its own.
    fn blocks(self, param: &str) -> Vec<(String, MessagesBlock)> {
        match self {
            Self::Text(text) => {
                let block =
                    MessagesBlock { kind: "text".to_owned(), text: Some(text), ..MessagesBlock::default() };
                vec![(param.to_owned(), block)]
            }
            Self::Blocks(blocks) => {
                let placed = blocks.into_iter().enumerate();
                placed.map(|(index, block)| (format!("{param}[{index}]"), block)).collect()
            }
        }
    }

    /// Where a block of it asks for a cache, the last one that does.
    pub(super) fn cache_control(&self) -> Option<&Value> {
        match self {
            Self::Text(_) => None,
            Self::Blocks(blocks) => blocks.iter().rev().find_map(|block| block.cache_control.as_ref()),
        }
    }

    /// Text and images, which are all that may be in it.
    fn shown(self, param: &str, between: &'static str) -> Result<Shown, ApiError> {
        let mut shown = Shown::default();
        for (at, block) in self.blocks(param) {
            if !shown.take(&at, &block, between)? {
                return Err(block.misplaced(&at));
            }
        }
        Ok(shown)
    }

    /// The instructions that it is. `param` is where it stood, for the error.
    ///
    /// # Errors
    /// `invalid_request` for a block that isn't text.
    pub(super) fn into_system(self, param: &str) -> Result<Message, ApiError> {
        let shown = self.shown(param, "\n\n")?;
        if !shown.images.is_empty() {
            return Err(ApiError::invalid(param, format!("{param} must be text")));
        }
        Ok(Message::new(Role::System, shown.text))
    }
}

/// What is said and shown, put together from blocks.
#[derive(Debug, Default)]
struct Shown {
    text: String,
    images: Vec<PlacedImage>,
    /// Whether text came last, so that more of it is set off.
    after_text: bool,
}

impl Shown {
    /// Takes a block of text or an image; whether it was one. `between` sets blocks of text off.
    fn take(&mut self, at: &str, block: &MessagesBlock, between: &str) -> Result<bool, ApiError> {
        match block.kind.as_str() {
            "text" => {
                let text = given(&block.text, at, "text")?;
                if self.after_text {
                    self.text.push_str(between);
                }
                self.text.push_str(text);
                self.after_text = true;
            }
            "image" => {
                let source = given(&block.source, at, "source")?.image(&format!("{at}.source"))?;
                let image = Image { source, detail: None };
                self.images.push(PlacedImage { at: self.text.len(), image });
                self.after_text = false;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn message(self, role: Role) -> Message {
        Message { images: self.images, ..Message::new(role, self.text) }
    }
}

impl MessagesImageSource {
    fn image(&self, at: &str) -> Result<ImageSource, ApiError> {
        match self.kind.as_str() {
            "url" => Ok(ImageSource::Url(given(&self.url, at, "url")?.clone())),
            "base64" => Ok(ImageSource::Data {
                media_type: given(&self.media_type, at, "media_type")?.clone(),
                data: given(&self.data, at, "data")?.clone(),
            }),
            other => {
                let message = format!("a source of type {other:?} was given; an image is base64 or url here");
                Err(ApiError::invalid(format!("{at}.type"), message))
            }
        }
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
    let (mut results, mut shown, mut says) = (Vec::new(), Shown::default(), false);
    for (at, block) in content.blocks(param) {
        if block.kind == "tool_result" {
            results.push((block.result(&at)?, format!("{at}.tool_use_id")));
        } else if shown.take(&at, &block, "\n")? {
            says = true;
        } else {
            return Err(block.misplaced(&at));
        }
    }
    if says || results.is_empty() {
        results.push((shown.message(Role::User), param.to_owned()));
    }
    Ok(results)
}

fn assistant(content: MessagesContent, param: &str) -> Result<Message, ApiError> {
    let (mut shown, mut reasoning, mut tool_calls) = (Shown::default(), Vec::new(), Vec::new());
    for (at, block) in content.blocks(param) {
        match block.kind.as_str() {
            // What the model said in several blocks it said in one go.
            "text" => {
                shown.take(&at, &block, "")?;
            }
            "tool_use" => tool_calls.push(block.call(&at)?),
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
                            && sealed.signature.is_none() =>
                    {
                        open.encrypted = sealed.encrypted;
                    }
                    _ => reasoning.push(sealed),
                }
            }
            _ => return Err(block.misplaced(&at)),
        }
    }
    Ok(Message { reasoning, tool_calls, ..shown.message(Role::Assistant) })
}

impl MessagesBlock {
    fn result(self, at: &str) -> Result<Message, ApiError> {
        let id = given(&self.tool_use_id, at, "tool_use_id")?.clone();
        let shown = match self.content {
            Some(content) => content.shown(&format!("{at}.content"), "\n")?,
            None => Shown::default(),
        };
        Ok(Message {
            tool_call_id: Some(id),
            failed: self.is_error.unwrap_or(false),
            ..shown.message(Role::Tool)
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

    /// The error for a block that can't be where it is, or that no model here takes.
    fn misplaced(&self, at: &str) -> ApiError {
        let kind = &self.kind;
        let message = match kind.as_str() {
            "text" | "image" | "tool_use" | "tool_result" | "thinking" | "redacted_thinking" => {
                format!("a block of type {kind} can't stand here")
            }
            "document" => "documents aren't read here; send their text, or images of their pages".to_owned(),
            _ => format!(
                "a block of type {kind:?} was given; a model takes text, image, tool_use, tool_result and thinking"
            ),
        };
        ApiError::invalid(format!("{at}.type"), message)
    }
}

/// A field that the block's type asks for.
fn given<'a, T>(field: &'a Option<T>, at: &str, name: &str) -> Result<&'a T, ApiError> {
    field.as_ref().ok_or_else(|| {
        let param = format!("{at}.{name}");
        let message = format!("{param} is missing");
        ApiError::invalid(param, message)
    })
}
