//! Converts a conversation to turns of blocks, in which user and assistant alternate.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use hearth_domain::{
    Document, DocumentSource, Image, ImageSource, Message, Part, PartPlace, Piece, Reasoning, Role, ToolCall,
};
use hearth_wire::ApiError;
use serde_json::{Map, Value};

use crate::{
    dialect::{
        body::PassThrough, gemini::thought_signature::is_gemini,
        openai_responses::encrypted_reasoning::is_openai,
    },
    json_tree::{Json, Object, object},
};

pub(super) const USER: &str = "user";
pub(super) const ASSISTANT: &str = "assistant";

/// Consecutive blocks of one role.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    /// `user` or `assistant`.
    pub(super) role: &'static str,
    /// Never empty.
    pub(super) blocks: Vec<Json<'a>>,
}

impl<'a> Turn<'a> {
    /// Converts the turn to JSON.
    pub(super) fn into_object(self) -> Object<'a> {
        object! {"role": self.role, "content": self.blocks}
    }

    /// Returns whether the turn has a block of one of these types.
    pub(super) fn has(&self, kinds: &[&str]) -> bool {
        self.blocks.iter().any(|block| is_of_type(block, kinds))
    }

    /// Returns whether the turn begins with thoughts.
    pub(super) fn begins_with_thoughts(&self) -> bool {
        self.blocks.first().is_some_and(|block| is_of_type(block, &["thinking", "redacted_thinking"]))
    }
}

fn is_of_type(block: &Json<'_>, kinds: &[&str]) -> bool {
    block.text_at(&["type"]).is_some_and(|kind| kinds.contains(&kind))
}

/// A conversation in Anthropic's form.
pub(super) struct Conversation<'a> {
    /// The system messages, from anywhere in the conversation: a text, or blocks if they have fields of their own.
    pub(super) system: Option<Json<'a>>,
    pub(super) turns: Vec<Turn<'a>>,
}

impl<'a> Conversation<'a> {
    /// Converts messages.
    ///
    /// # Errors
    /// `invalid_request` if there is no turn, or the arguments of a call aren't an object.
    pub(super) fn new(messages: &'a [Message], pass: PassThrough) -> Result<Self, ApiError> {
        let mut system = Vec::new();
        let mut turns: Vec<Turn<'a>> = Vec::new();
        for message in messages {
            let (role, blocks) = match message.role {
                Role::System => {
                    system.extend(parts(message, pass)?);
                    continue;
                }
                Role::User => (USER, parts(message, pass)?),
                Role::Tool => (USER, vec![tool_result(message, pass)?]),
                Role::Assistant => (ASSISTANT, assistant_blocks(message, pass)?),
            };
            match turns.last_mut() {
                Some(turn) if turn.role == role => turn.blocks.extend(blocks),
                _ if blocks.is_empty() => {}
                _ => turns.push(Turn { role, blocks }),
            }
        }
        if turns.is_empty() {
            let message = "this provider needs a message of the user or the assistant that isn't empty";
            return Err(ApiError::invalid("messages", message));
        }
        for turn in &mut turns {
            // Anthropic requires tool results before other blocks of the user.
            turn.blocks.sort_by_key(|block| turn.role == USER && !is_of_type(block, &["tool_result"]));
        }
        Ok(Self { system: system_value(system, pass), turns })
    }
}

/// Joins the blocks of system messages into a text, unless the client wrote blocks or one has a cache mark.
fn system_value(blocks: Vec<Json<'_>>, pass: PassThrough) -> Option<Json<'_>> {
    let is_plain = |block: &Json<'_>| block.field_count() == Some(2);
    if blocks.is_empty() {
        return None;
    }
    if blocks.iter().all(is_plain) && (blocks.len() == 1 || pass != PassThrough::All) {
        let texts: Vec<&str> = blocks.iter().filter_map(|block| block.text_at(&["text"])).collect();
        return Some(texts.join("\n\n").into());
    }
    Some(Json::List(blocks))
}

fn parts(message: &Message, pass: PassThrough) -> Result<Vec<Json<'_>>, ApiError> {
    let parts = message.parts_with_extra().into_iter();
    parts.filter_map(|(part, extra)| self::part(part, extra, pass).transpose()).collect()
}

/// Converts a part with its unknown fields; `None` for white space, since Anthropic refuses blocks of it.
fn part<'a>(
    part: Part<'a>,
    extra: Option<&'a Map<String, Value>>,
    pass: PassThrough,
) -> Result<Option<Json<'a>>, ApiError> {
    let mut block = match part {
        Part::Text(text) if text.trim().is_empty() => return Ok(None),
        Part::Text(text) => object! {"type": "text", "text": text}.into(),
        Part::Image(image) => object! {"type": "image", "source": source(image)}.into(),
        Part::Document(file) => document(file)?.into(),
        Part::Opaque(opaque) => Json::from(&opaque.value),
    };
    pass.add_to_part(extra, &mut block);
    Ok(Some(block))
}

/// Converts a PDF, or plain text (<https://platform.claude.com/docs/en/build-with-claude/pdf-support>).
fn document(document: &Document) -> Result<Object<'_>, ApiError> {
    let source = match &document.source {
        DocumentSource::Url(url) => object! {"type": "url", "url": url},
        DocumentSource::Text(text) => object! {"type": "text", "media_type": "text/plain", "data": text},
        DocumentSource::Data { media_type, data } if media_type == "text/plain" => {
            let text = BASE64_STANDARD.decode(data).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            let text = text.ok_or_else(|| {
                ApiError::invalid("messages", "a document of plain text must be UTF-8 in base64")
            })?;
            object! {"type": "text", "media_type": "text/plain", "data": text}
        }
        DocumentSource::Data { media_type, data } => {
            object! {"type": "base64", "media_type": media_type, "data": data}
        }
    };
    let mut block = object! {"type": "document", "source": source};
    block.set_some("title", document.name.as_deref());
    Ok(block)
}

fn source(image: &Image) -> Object<'_> {
    match &image.source {
        ImageSource::Url(url) => object! {"type": "url", "url": url},
        ImageSource::Data { media_type, data } => {
            object! {"type": "base64", "media_type": media_type, "data": data}
        }
    }
}

fn tool_result(message: &Message, pass: PassThrough) -> Result<Json<'_>, ApiError> {
    let id = message.tool_call_id.as_deref().unwrap_or_default();
    let mut result = object! {"type": "tool_result", "tool_use_id": id};
    let content = parts(message, pass)?;
    if !content.is_empty() {
        result.set("content", content);
    }
    if message.failed {
        result.set("is_error", true);
    }
    pass.add(message.extra_of(PartPlace::Message), &mut result);
    Ok(result.into())
}

fn assistant_blocks(message: &Message, pass: PassThrough) -> Result<Vec<Json<'_>>, ApiError> {
    let (mut blocks, fields) = (Vec::new(), message.extra_by_place());
    for piece in message.pieces() {
        blocks.extend(match piece {
            Piece::Reasoning(block) => thoughts(block).map(Json::from),
            Piece::Part(number, part) => {
                self::part(part, fields.get(&PartPlace::Part(number)).copied(), pass)?
            }
            Piece::Call(number, call) => {
                let mut block = tool_use(call)?;
                pass.add(fields.get(&PartPlace::Call(number)).copied(), &mut block);
                Some(block.into())
            }
        });
    }
    Ok(blocks)
}

/// Converts thoughts that Anthropic has signed or encrypted. It refuses other vendors' thoughts.
fn thoughts(block: &Reasoning) -> Option<Object<'_>> {
    let signature = block.signature.as_deref().filter(|signature| !is_gemini(signature));
    let encrypted = block.encrypted.as_deref().filter(|encrypted| !is_openai(encrypted));
    match (signature, encrypted) {
        (Some(signature), _) => {
            Some(object! {"type": "thinking", "thinking": &block.text, "signature": signature})
        }
        (None, Some(data)) => Some(object! {"type": "redacted_thinking", "data": data}),
        (None, None) => None,
    }
}

fn tool_use(call: &ToolCall) -> Result<Object<'_>, ApiError> {
    let arguments = if call.arguments.trim().is_empty() { "{}" } else { &call.arguments };
    let input: Map<String, Value> = serde_json::from_str(arguments).map_err(|_| {
        let message =
            "the arguments of a tool call in the conversation must be a JSON object for this provider";
        ApiError::invalid("messages", message)
    })?;
    let input = Value::Object(input);
    Ok(object! {"type": "tool_use", "id": &call.id, "name": &call.name, "input": input})
}
