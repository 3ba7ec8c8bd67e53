//! JSON bodies of requests: parsed within limits, with errors that name the field at fault.

use std::borrow::Cow;

use hearth_domain::objects_only::{self, ObjectsOnly};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;

use crate::{ApiError, ErrorCode, field_of_reason, json_size, plain_reason, run_options::option_error};

/// Characters of the beginning and the end of a long value that an error quotes.
const QUOTED_BEGIN_MAX_COUNT: usize = 300;
const QUOTED_END_MAX_COUNT: usize = 100;

/// Parses a JSON body. A list in the place of an object is refused.
///
/// # Errors
/// `invalid_request`, naming the field at fault.
pub fn parse_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    let text = text_of(body)?;
    parse_text(text).map_err(|error| explain::<T>(text, &error))
}

/// Parses a JSON text. A list in the place of an object is refused.
///
/// # Errors
/// The first mistake, in the words of `serde_json`.
pub fn parse_text<T: DeserializeOwned>(text: &str) -> serde_json::Result<T> {
    let mut json = serde_json::Deserializer::from_str(text);
    let value = T::deserialize(ObjectsOnly(&mut json))?;
    json.end()?;
    Ok(value)
}

/// Parses a message, which is a JSON object. A list in the place of an object is refused.
///
/// # Errors
/// As [`parse_text`].
pub fn parse_message<T: DeserializeOwned>(text: &str) -> serde_json::Result<T> {
    let mut json = serde_json::Deserializer::from_str(text);
    let value = objects_only::object(&mut json)?;
    json.end()?;
    Ok(value)
}

/// Parses the bytes of a JSON text. A list in the place of an object is refused.
///
/// # Errors
/// As [`parse_text`].
pub fn parse_bytes<T: DeserializeOwned>(json: &[u8]) -> serde_json::Result<T> {
    let mut json = serde_json::Deserializer::from_slice(json);
    let value = T::deserialize(ObjectsOnly(&mut json))?;
    json.end()?;
    Ok(value)
}

/// Converts a value of a body that is parsed already. `param`: its field.
///
/// # Errors
/// `invalid_request`, naming the field at fault.
pub(crate) fn from_value<T: DeserializeOwned>(value: Value, param: &str) -> Result<T, ApiError> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let path = if path == "." { param.to_owned() } else { format!("{param}.{path}") };
        malformed(&path, error.inner(), true)
    })
}

/// Returns the text of a body, if it isn't empty and not too large to parse.
fn text_of(body: &[u8]) -> Result<&str, ApiError> {
    json_size::check(body)?;
    let Ok(text) = std::str::from_utf8(body) else {
        let message = "the body isn't valid JSON: it isn't encoded in UTF-8";
        return Err(ApiError::new(ErrorCode::InvalidRequest, message));
    };
    if text.trim_ascii().is_empty() {
        let message = "the body is empty; it must be JSON";
        return Err(ApiError::new(ErrorCode::InvalidRequest, message));
    }
    Ok(text)
}

/// Returns the error of a malformed body. The body is parsed again with the path of each field, which costs as much as
/// parsing it: valid bodies, which most are, don't pay for that.
fn explain<T: DeserializeOwned>(body: &str, error: &serde_json::Error) -> ApiError {
    let mut json = serde_json::Deserializer::from_str(body);
    match serde_path_to_error::deserialize::<_, T>(ObjectsOnly(&mut json)) {
        Err(error) => {
            let is_json = serde_json::from_str::<IgnoredAny>(body).is_ok();
            malformed(&error.path().to_string(), error.inner(), is_json)
        }
        // Text follows the value.
        Ok(_) => malformed(".", error, false),
    }
}

/// Returns serde's error with the field's path. `is_json`: the body is valid JSON, of another shape than expected.
fn malformed(path: &str, error: &serde_json::Error, is_json: bool) -> ApiError {
    let text = error.to_string();
    let (text, place) = text.rsplit_once(" at line ").unwrap_or((&text, ""));
    // A field's name is part of its path.
    let path = &*abridge(path);
    if let Some((option, problem)) = option_error(text) {
        let param = if path == "." { option.to_owned() } else { format!("{path}.{option}") };
        let message = format!("{param}: {}", abridge(&plain_reason(problem)));
        return ApiError::invalid(param, message);
    }
    if text == "recursion limit exceeded" {
        return too_deep(path);
    }
    if !is_json && !error.is_data() {
        let text = plain_syntax(text);
        let message = format!("the body isn't valid JSON: {text} at line {place}");
        return ApiError::new(ErrorCode::InvalidRequest, message);
    }
    let field = field_of_reason(text);
    if path == "." && is_json && field.is_none() {
        return not_an_object();
    }
    // serde quotes a value whole.
    let reason = plain_reason(text);
    // serde_json reports a number in place of an enum's name as a syntax error.
    let reason =
        if text == "expected value" { "expected a name, which is a string" } else { &*abridge(&reason) };
    // For a missing or unknown field, serde has the path of its parent; the field's name is only in the message.
    let param = match (path, field) {
        (".", Some(name)) => Some(abridge(name).into_owned()),
        (parent, Some(name)) if parent.rsplit('.').next() != Some(name) => {
            Some(format!("{parent}.{}", abridge(name)))
        }
        (".", None) => None,
        (path, _) => Some(path.to_owned()),
    };
    let at = param.as_ref().map(|param| format!("{param}: ")).unwrap_or_default();
    let error = ApiError::new(ErrorCode::InvalidRequest, format!("{at}{reason}"));
    match param {
        Some(param) => error.at(param),
        None => error,
    }
}

/// Returns the error of a body that is nested too deep, which names the field of the body at fault.
fn too_deep(path: &str) -> ApiError {
    let message = "the body is nested too deep: objects and lists in one another, 127 levels at most";
    let error = ApiError::new(ErrorCode::InvalidRequest, message);
    match path.split(['.', '[']).next().unwrap_or_default() {
        "" => error,
        field => error.at(field),
    }
}

/// Leaves out the middle of a long text, such as a value of the client that an error quotes.
#[must_use]
pub fn abridge(text: &str) -> Cow<'_, str> {
    let char_count = text.chars().count();
    if char_count <= QUOTED_BEGIN_MAX_COUNT + QUOTED_END_MAX_COUNT {
        return text.into();
    }
    let begin = text.chars().take(QUOTED_BEGIN_MAX_COUNT);
    let end = text.chars().skip(char_count - QUOTED_END_MAX_COUNT);
    begin.chain(" ... ".chars()).chain(end).collect::<String>().into()
}

fn not_an_object() -> ApiError {
    ApiError::new(ErrorCode::InvalidRequest, "the body must be a JSON object")
}

/// Returns serde's message about a text that isn't JSON in plain words.
fn plain_syntax(text: &str) -> String {
    match text.strip_prefix("EOF while parsing ") {
        Some("a value") => "it ends before a value".to_owned(),
        Some(value) => format!("it ends within {value}"),
        None if text == "expected ident" => "expected true, false or null".to_owned(),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        anthropic::MessagesRequest,
        native::request::GenerateRequest,
        openai::{chat::ChatRequest, responses::ResponsesRequest},
    };

    fn refusal<T: DeserializeOwned>(body: &Value) -> (String, String) {
        let Err(error) = parse_json::<T>(body.to_string().as_bytes()) else { panic!("{body} is accepted") };
        (error.param.unwrap_or_default(), error.message)
    }

    #[test]
    fn list_in_the_place_of_an_object_is_refused_with_its_field() {
        let parts = |part: Value| json!({"model": "m", "messages": [{"role": "user", "content": [part]}]});
        let image = json!({"type": "image_url", "image_url": ["https://example.org/a.png"]});
        let choice = json!({"type": "function", "function": ["f"]});
        let list = json!({"type": "message", "content": [["input_text", "Hi"]]});
        for ((param, message), expected) in [
            (refusal::<GenerateRequest>(&json!({"parameters": [0.5]})), "parameters"),
            (refusal::<GenerateRequest>(&json!({"input": ["Hi"]})), "input"),
            (refusal::<GenerateRequest>(&json!({"fallback": ["a"]})), "fallback"),
            (refusal::<ChatRequest>(&json!({"model": "m", "fallback": []})), "fallback"),
            (refusal::<ChatRequest>(&json!({"model": "m", "stream_options": [true]})), "stream_options"),
            (refusal::<ChatRequest>(&json!({"model": "m", "messages": [["user", "Hi"]]})), "messages[0]"),
            (refusal::<ChatRequest>(&parts(json!(["text", "Hi"]))), "messages[0].content[0]"),
            (refusal::<ChatRequest>(&parts(image)), "messages[0].content[0].image_url"),
            (refusal::<ChatRequest>(&json!({"tool_choice": choice})), "tool_choice.function"),
            (refusal::<ChatRequest>(&json!({"tool_choice": ["function", "f"]})), "tool_choice"),
            (refusal::<ResponsesRequest>(&json!({"input": [list]})), "input[0].content[0]"),
            (refusal::<ResponsesRequest>(&json!({"conversation": ["conv_1"]})), "conversation"),
            (refusal::<MessagesRequest>(&json!({"thinking": ["enabled"]})), "thinking"),
        ] {
            assert_eq!(param, expected, "{message}");
            assert!(message.starts_with(&format!("{expected}: expected ")), "{message}");
            assert!(message.ends_with(", not a list"), "{message}");
        }
        assert_eq!(refusal::<ChatRequest>(&json!(["m"])).1, "the body must be a JSON object");
        assert_eq!(
            refusal::<GenerateRequest>(&json!({"parameters": [0.5]})).1,
            "parameters: expected an object, not a list"
        );
    }

    #[test]
    fn list_is_a_body_where_the_route_takes_any_json() {
        assert_eq!(parse_json::<Value>(b" [1, {}]").unwrap(), json!([1, {}]));
        assert!(parse_json::<Value>(b"[1] 2").is_err());
    }
}
