//! JSON bodies of requests: parsed within limits, with errors that name the field at fault.

use std::borrow::Cow;

use serde::de::{DeserializeOwned, IgnoredAny};

use crate::{ApiError, ErrorCode, field_of_reason, json_size, plain_reason, run_options::option_error};

/// Characters of the beginning and the end of a long value that an error quotes.
const QUOTED_BEGIN_MAX_COUNT: usize = 300;
const QUOTED_END_MAX_COUNT: usize = 100;

/// Parses a JSON body.
///
/// # Errors
/// `invalid_request`, naming the field at fault.
pub fn parse_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    let text = text_of(body)?;
    // serde accepts a list for a struct, with the items as its fields.
    let is_list = text.trim_ascii_start().starts_with('[');
    match serde_json::from_str(text) {
        Ok(_) if is_list => Err(not_an_object()),
        Ok(value) => Ok(value),
        Err(error) => Err(explain::<T>(text, &error)),
    }
}

/// Parses a JSON body of any shape, such as a list.
///
/// # Errors
/// `invalid_request`, naming the field at fault.
pub fn parse_any_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    let text = text_of(body)?;
    serde_json::from_str(text).map_err(|error| explain::<T>(text, &error))
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
    match serde_path_to_error::deserialize::<_, T>(&mut json) {
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
