//! Converts the conversation of a request.
//!
//! Consecutive contents of one role are one turn: SDKs store a streamed answer as one content for each piece.

use hearth_domain::{Message, PartPlace, Role, message::name_results};
use serde_json::{Map, Value};

use super::{
    GeminiContent, GeminiFunctionResponse, GeminiPart, model_turn::ModelTurn, open_calls::OpenCalls,
};
use crate::{ApiError, message_parts::MessageParts};

/// Converts the conversation to messages, each with the field of its call's id, for errors.
///
/// # Errors
/// `invalid_request`, naming the part or the field.
pub(super) fn conversation(
    system: Option<GeminiContent>,
    contents: Vec<GeminiContent>,
    may_be_empty: bool,
) -> Result<Vec<(Message, String)>, ApiError> {
    if contents.is_empty() && !may_be_empty {
        return Err(ApiError::invalid("contents", "contents must not be empty"));
    }
    let mut messages = Vec::with_capacity(contents.len() + 1);
    if let Some(system) = system {
        let message = instructions(system)?;
        messages.extend((!message.content.is_empty()).then(|| (message, "systemInstruction".to_owned())));
    }
    let mut open_calls = OpenCalls::default();
    for (is_model, parts) in turns(contents)? {
        let param = parts.first().map_or_else(|| "contents".to_owned(), |(param, _)| param.clone());
        if is_model {
            let message = model_message(parts)?;
            open_calls.add_turn(&message);
            messages.push((message, param));
        } else {
            add_user_messages(parts, &mut open_calls, &mut messages)?;
        }
    }
    let (mut messages, call_params): (Vec<_>, Vec<_>) = messages.into_iter().unzip();
    name_results(&mut messages);
    Ok(messages.into_iter().zip(call_params).collect())
}

/// Parts, each with its field.
type PartsWithParams = Vec<(String, GeminiPart)>;

/// Groups the contents to turns, each with whether it is the model's.
fn turns(contents: Vec<GeminiContent>) -> Result<Vec<(bool, PartsWithParams)>, ApiError> {
    let mut turns: Vec<(bool, PartsWithParams)> = Vec::new();
    for (number, content) in contents.into_iter().enumerate() {
        let is_model = match content.role.as_deref() {
            Some("model") => true,
            // Earlier SDKs of Google's sent `function`.
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

/// Converts the instructions, which must be text.
fn instructions(system: GeminiContent) -> Result<Message, ApiError> {
    let mut parts = MessageParts::default();
    for (index, part) in system.parts.into_iter().enumerate() {
        part.add_to(&mut parts, &format!("systemInstruction.parts[{index}]"), "\n\n")?;
    }
    let message = parts.into_message(Role::System);
    if !message.is_text_only() {
        return Err(ApiError::invalid("systemInstruction", "systemInstruction must be text"));
    }
    Ok(message)
}

/// Converts a user's turn: the results of calls, then the user's message.
fn add_user_messages(
    parts: PartsWithParams,
    open_calls: &mut OpenCalls,
    messages: &mut Vec<(Message, String)>,
) -> Result<(), ApiError> {
    let (mut user_parts, mut has_user_parts) = (MessageParts::default(), parts.is_empty());
    for (param, mut part) in parts {
        match part.function_response.take() {
            Some(response) => {
                let param = format!("{param}.functionResponse");
                let id = open_calls.take_matching(&response).ok_or_else(|| {
                    let problem = "has no call in an earlier model turn; send that turn, with its functionCall, before it";
                    ApiError::invalid(&param, format!("{param} {problem}"))
                })?;
                messages.push((result_message(response, id, &param)?, format!("{param}.id")));
            }
            None => {
                part.add_to(&mut user_parts, &param, "\n")?;
                has_user_parts = true;
            }
        }
    }
    if has_user_parts {
        open_calls.end_turn();
        messages.push((user_parts.into_message(Role::User), "contents".to_owned()));
    }
    Ok(())
}

/// Converts the result of a call.
fn result_message(
    mut response: GeminiFunctionResponse,
    id: String,
    param: &str,
) -> Result<Message, ApiError> {
    let object = response.response.take().unwrap_or_default();
    let ResultText { text, failed, is_lossless } = result_text(&response.name, &object);
    let mut parts = MessageParts::default();
    parts.add_text(&text, "", Map::new());
    for (index, part) in std::mem::take(&mut response.parts).into_iter().enumerate() {
        part.add_to(&mut parts, &format!("{param}.parts[{index}]"), "\n")?;
    }
    let mut extra = response.extra;
    if !is_lossless {
        extra.insert("response".to_owned(), Value::Object(object));
    }
    if !extra.is_empty() {
        let extra = Map::from_iter([("functionResponse".to_owned(), Value::Object(extra))]);
        parts.add_extra(PartPlace::Message, extra);
    }
    Ok(Message { tool_call_id: Some(id), failed, ..parts.into_message(Role::Tool) })
}

/// A function's result as text.
struct ResultText {
    text: String,
    /// True if the function failed.
    failed: bool,
    /// True if the object can be restored from the text.
    is_lossless: bool,
}

/// Converts a result of the function `name` to text. Google defines no format of results: its documentation has `output`
/// and `error`, its SDKs write `result`, and Vercel's AI SDK writes `name` and `content`.
fn result_text(name: &str, response: &Map<String, Value>) -> ResultText {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let only = |name: &str| response.get(name).filter(|_| response.len() == 1);
    if let Some(value) = only("result") {
        return ResultText { text: text(value), failed: false, is_lossless: value.is_string() };
    }
    if let Some(value) = only("error") {
        return ResultText { text: text(value), failed: true, is_lossless: value.is_string() };
    }
    let has_name = response.len() == 2 && response.get("name").is_some_and(|value| value == name);
    if let Some(value) = only("output").or_else(|| response.get("content").filter(|_| has_name)) {
        return ResultText { text: text(value), failed: false, is_lossless: false };
    }
    let text = if response.is_empty() { String::new() } else { Value::Object(response.clone()).to_string() };
    ResultText { text, failed: false, is_lossless: false }
}

/// Converts a turn of the model.
fn model_message(parts: PartsWithParams) -> Result<Message, ApiError> {
    let mut turn = ModelTurn::default();
    for (param, part) in parts {
        turn.add(part, &param)?;
    }
    Ok(turn.into_message())
}
