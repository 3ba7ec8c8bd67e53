//! The conversation of a request without its dialect.
//!
//! What one side says in several contents is one turn: SDKs store a streamed answer as one content for each piece.

use std::collections::HashSet;

use hearth_domain::{Message, PartPlace, Reasoning, Role, ToolCall, message::name_results};
use serde_json::{Map, Value};

use super::{
    GeminiContent, GeminiFunctionCall, GeminiFunctionResponse, GeminiPart,
    open_calls::OpenCalls,
    seal::{self, Place},
    signature::{self, Signature},
};
use crate::{ApiError, parts::MessageParts};

/// The messages of a conversation. With each comes the place of the call that it answers, for errors.
///
/// # Errors
/// `invalid_request`, naming the part or the field.
pub(super) fn conversation(
    system: Option<GeminiContent>,
    contents: Vec<GeminiContent>,
) -> Result<Vec<(Message, String)>, ApiError> {
    if contents.is_empty() {
        return Err(ApiError::invalid("contents", "contents must not be empty"));
    }
    let mut messages = Vec::with_capacity(contents.len() + 1);
    if let Some(system) = system {
        let message = instructions(system)?;
        messages.extend((!message.content.is_empty()).then(|| (message, "systemInstruction".to_owned())));
    }
    let mut open = OpenCalls::default();
    for (is_model, parts) in turns(contents)? {
        let at = parts.first().map_or_else(|| "contents".to_owned(), |(at, _)| at.clone());
        if is_model {
            let message = model(parts)?;
            open.begin(&message);
            messages.push((message, at));
        } else {
            user(parts, &mut open, &mut messages)?;
        }
    }
    let (mut named, places): (Vec<_>, Vec<_>) = messages.into_iter().unzip();
    name_results(&mut named);
    Ok(named.into_iter().zip(places).collect())
}

/// Parts, each with its place in the request.
type PlacedParts = Vec<(String, GeminiPart)>;

/// The turns, each with whether it is the model's.
fn turns(contents: Vec<GeminiContent>) -> Result<Vec<(bool, PlacedParts)>, ApiError> {
    let mut turns: Vec<(bool, PlacedParts)> = Vec::new();
    for (number, content) in contents.into_iter().enumerate() {
        let is_model = match content.role.as_deref() {
            Some("model") => true,
            // Google's own SDKs sent `function` once.
            None | Some("" | "user" | "function") => false,
            Some(_) => {
                let param = format!("contents[{number}].role");
                return Err(ApiError::invalid(&param, format!("{param} must be user or model")));
            }
        };
        let parts = content.parts.into_iter().enumerate();
        let parts = parts.map(|(index, part)| (format!("contents[{number}].parts[{index}]"), part));
        match turns.last_mut() {
            Some((last, turn)) if *last == is_model => turn.extend(parts),
            _ => turns.push((is_model, parts.collect())),
        }
    }
    Ok(turns)
}

/// The instructions: texts alone.
fn instructions(system: GeminiContent) -> Result<Message, ApiError> {
    let mut shown = MessageParts::default();
    for (index, part) in system.parts.into_iter().enumerate() {
        part.show(&mut shown, &format!("systemInstruction.parts[{index}]"), "\n\n")?;
    }
    let message = shown.into_message(Role::System);
    if !message.is_text_only() {
        return Err(ApiError::invalid("systemInstruction", "systemInstruction must be text"));
    }
    Ok(message)
}

/// The results of calls, and then what the user says.
fn user(
    parts: PlacedParts,
    open: &mut OpenCalls,
    messages: &mut Vec<(Message, String)>,
) -> Result<(), ApiError> {
    let (mut shown, mut says) = (MessageParts::default(), parts.is_empty());
    for (at, mut part) in parts {
        match part.function_response.take() {
            Some(response) => {
                let place = format!("{at}.functionResponse");
                let id = open.answered(&response).ok_or_else(|| {
                    let text = "answers no call of an earlier model turn; send that turn, with its functionCall, before it";
                    ApiError::invalid(&place, format!("{place} {text}"))
                })?;
                messages.push((result(response, id, &place)?, format!("{place}.id")));
            }
            None => {
                part.show(&mut shown, &at, "\n")?;
                says = true;
            }
        }
    }
    if says {
        open.close();
        messages.push((shown.into_message(Role::User), "contents".to_owned()));
    }
    Ok(())
}

/// A result of a call.
fn result(mut response: GeminiFunctionResponse, id: String, at: &str) -> Result<Message, ApiError> {
    let given = response.response.take().unwrap_or_default();
    let (text, failed, is_plain) = result_text(&response.name, &given);
    let mut shown = MessageParts::default();
    shown.add_text(&text, "", Map::new());
    for (index, part) in std::mem::take(&mut response.parts).into_iter().enumerate() {
        part.show(&mut shown, &format!("{at}.parts[{index}]"), "\n")?;
    }
    let mut further = response.extra;
    if !is_plain {
        further.insert("response".to_owned(), Value::Object(given));
    }
    if !further.is_empty() {
        let further = Map::from_iter([("functionResponse".to_owned(), Value::Object(further))]);
        shown.add_extra(PartPlace::Message, further);
    }
    Ok(Message { tool_call_id: Some(id), failed, ..shown.into_message(Role::Tool) })
}

/// The text of a result of the function `name`, whether the function failed, and whether that is all that it says. Google has
/// no fixed form for results: `output` and `error` are those of its documentation, `result` is what its SDKs write, and
/// Vercel's AI SDK writes `name` and `content`.
fn result_text(name: &str, response: &Map<String, Value>) -> (String, bool, bool) {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let only = |name: &str| response.get(name).filter(|_| response.len() == 1);
    if let Some(value) = only("result") {
        return (text(value), false, value.is_string());
    }
    if let Some(value) = only("error") {
        return (text(value), true, value.is_string());
    }
    let named = response.len() == 2 && response.get("name").is_some_and(|given| given == name);
    if let Some(value) = only("output").or_else(|| response.get("content").filter(|_| named)) {
        return (text(value), false, false);
    }
    let text = if response.is_empty() { String::new() } else { Value::Object(response.clone()).to_string() };
    (text, false, false)
}

/// What the model said: thoughts, text, calls.
fn model(parts: PlacedParts) -> Result<Message, ApiError> {
    let mut turn = ModelTurn::default();
    for (at, part) in parts {
        turn.add(part, &at)?;
    }
    Ok(turn.into_message())
}

/// A turn of the model, as far as it has been read.
#[derive(Debug, Default)]
struct ModelTurn {
    shown: MessageParts,
    /// How many bytes of text there are.
    text_bytes: usize,
    reasoning: Vec<Reasoning>,
    /// Thoughts of another maker, from signatures.
    packed: Vec<Reasoning>,
    calls: Vec<ToolCall>,
    ids: HashSet<String>,
}

impl ModelTurn {
    fn add(&mut self, mut part: GeminiPart, at: &str) -> Result<(), ApiError> {
        if let Some(call) = part.function_call.take() {
            let call = self.call(call, at);
            self.seal(part.thought_signature.take(), Place::Call(&call.id));
            let extra = std::mem::take(&mut part.extra);
            self.shown.add_extra(PartPlace::Call(self.calls.len()), extra);
            self.calls.push(call);
        } else if part.is_thought() {
            self.think(part.text.unwrap_or_default(), part.thought_signature);
        } else if part.is_text()
            && let Some(text) = part.text.take()
        {
            let (from, to) = (self.text_bytes, self.text_bytes + text.len());
            self.text_bytes = to;
            self.shown.add_text(&text, "", std::mem::take(&mut part.extra));
            self.seal(part.thought_signature.take(), Place::Text(from, to));
        } else {
            part.show(&mut self.shown, at, "")?;
        }
        Ok(())
    }

    fn call(&mut self, call: GeminiFunctionCall, at: &str) -> ToolCall {
        // One that the client doesn't name gets the same id in each request, so that an equal prompt is equal.
        let numbers = at.split(|c: char| !c.is_ascii_digit()).filter(|number| !number.is_empty());
        let made_up = || format!("call_{}", numbers.collect::<Vec<_>>().join("_"));
        let id = call.id.filter(|id| !id.is_empty() && self.ids.insert(id.clone()));
        let arguments = Value::Object(call.args.unwrap_or_default()).to_string();
        ToolCall { id: id.unwrap_or_else(made_up), name: call.name, arguments }
    }

    /// Takes a thought. One that was streamed comes in pieces, the last of which may have the seal.
    fn think(&mut self, text: String, signature: Option<String>) {
        let last =
            self.reasoning.last_mut().filter(|last| last.signature.is_none() && last.encrypted.is_none());
        match last {
            Some(last) => last.text.push_str(&text),
            None => self.reasoning.push(Reasoning { text, ..Reasoning::default() }),
        }
        match signature.filter(|signature| !signature.is_empty()).map(signature::read) {
            Some(Signature::Google(seal)) => {
                if let Some(last) = self.reasoning.last_mut() {
                    last.signature = Some(seal::signature(Place::Thought, &seal));
                }
            }
            Some(Signature::Packed(blocks)) => self.packed.extend(blocks),
            None => {}
        }
    }

    fn seal(&mut self, signature: Option<String>, place: Place<'_>) {
        match signature.filter(|signature| !signature.is_empty()).map(signature::read) {
            Some(Signature::Google(seal)) => {
                let signature = Some(seal::signature(place, &seal));
                self.reasoning.push(Reasoning { signature, ..Reasoning::default() });
            }
            Some(Signature::Packed(blocks)) => self.packed.extend(blocks),
            None => {}
        }
    }

    fn into_message(self) -> Message {
        // Packed thoughts are whole; those that were shown beside them are the same again.
        let reasoning = if self.packed.is_empty() { self.reasoning } else { self.packed };
        Message { reasoning, tool_calls: self.calls, ..self.shown.into_message(Role::Assistant) }
    }
}
