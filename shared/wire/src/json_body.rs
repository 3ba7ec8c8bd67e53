//! JSON bodies of requests: parsed within limits, with errors that name the field at fault.

use std::borrow::Cow;

use serde::de::{DeserializeOwned, IgnoredAny};

use crate::{ApiError, ErrorCode, json_size, plain_reason, run_options::option_error};

/// Characters of the beginning and the end of a long value that an error quotes.
const QUOTED_BEGIN_MAX_COUNT: usize = 300;
const QUOTED_END_MAX_COUNT: usize = 100;

/// Parses a JSON body.
///
/// # Errors
/// `invalid_request`, naming the field at fault.
pub fn parse_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    json_size::check(body)?;
    // serde accepts a list for a struct, with the items as its fields.
    let is_list = body.trim_ascii_start().first() == Some(&b'[');
    match serde_json::from_slice(body) {
        Ok(_) if is_list => Err(not_an_object()),
        Ok(value) => Ok(value),
        Err(error) => Err(explain::<T>(body, &error)),
    }
}

/// Parses a JSON body of any shape, such as a list.
///
/// # Errors
/// `invalid_request`, naming the field at fault.
pub fn parse_any_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    json_size::check(body)?;
    serde_json::from_slice(body).map_err(|error| explain::<T>(body, &error))
}

/// Returns the error of a malformed body. The body is parsed again with the path of each field, which costs as much as
/// parsing it: valid bodies, which most are, don't pay for that.
fn explain<T: DeserializeOwned>(body: &[u8], error: &serde_json::Error) -> ApiError {
    let mut json = serde_json::Deserializer::from_slice(body);
    match serde_path_to_error::deserialize::<_, T>(&mut json) {
        Err(error) => {
            let is_json = serde_json::from_slice::<IgnoredAny>(body).is_ok();
            malformed(&error.path().to_string(), error.inner(), is_json)
        }
        // Text follows the value.
        Ok(_) => malformed(".", error, false),
    }
}

/// Returns serde's error with the field's path. `is_json`: the body is valid JSON, of another shape than expected.
fn malformed(path: &str, error: &serde_json::Error, is_json: bool) -> ApiError {
    let text = in_json_terms(&error.to_string());
    let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message);
    // serde quotes a value whole, and a field's name is part of its path.
    let (text, path) = (&*abridge(text), &*abridge(path));
    if let Some((option, problem)) = option_error(text) {
        let param = if path == "." { option.to_owned() } else { format!("{path}.{option}") };
        let message = format!("{param}: {problem}");
        return ApiError::invalid(param, message);
    }
    if path == "." && is_json && error.is_data() && !error.to_string().contains(" field `") {
        return not_an_object();
    }
    if text == "recursion limit exceeded" {
        let message = "the body is nested too deep: objects and lists in one another, 127 levels at most";
        return ApiError::new(ErrorCode::InvalidRequest, message);
    }
    // serde_json reports a number in place of an enum's name as a syntax error.
    let no_name = is_json && text == "expected value";
    let text = if no_name { "expected a name, which is a string" } else { text };
    if !error.is_data() && !no_name {
        let message = format!("the body isn't valid JSON: {error}");
        return ApiError::new(ErrorCode::InvalidRequest, message);
    }
    // For a missing or unknown field, serde has the path of its parent; the field's name is only in the message.
    let named = ["missing field `", "unknown field `"]
        .iter()
        .find_map(|start| text.strip_prefix(start)?.split('`').next());
    let param = match (path, named) {
        (".", Some(name)) => Some(name.to_owned()),
        (parent, Some(name)) if parent.rsplit('.').next() != Some(name) => Some(format!("{parent}.{name}")),
        (".", None) => None,
        (path, _) => Some(path.to_owned()),
    };
    let at = param.as_ref().map(|param| format!("{param}: ")).unwrap_or_default();
    let error = ApiError::new(ErrorCode::InvalidRequest, format!("{at}{text}"));
    match param {
        Some(param) => error.at(param),
        None => error,
    }
}

/// Leaves out the middle of a long text.
fn abridge(text: &str) -> Cow<'_, str> {
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

/// Replaces serde's messages that have names of Rust types.
fn in_json_terms(text: &str) -> String {
    if text.starts_with("data did not match any variant") {
        return "it has none of the allowed forms".to_owned();
    }
    let text = &*in_plain_words(text);
    let Some((before, after)) = text.split_once("expected ") else { return text.to_owned() };
    let kinds = ["struct ", "internally tagged enum ", "adjacently tagged enum ", "enum "];
    match kinds.iter().find_map(|kind| after.strip_prefix(kind)) {
        Some(name) => {
            let rest = name.trim_start_matches(|c: char| c.is_ascii_alphanumeric());
            format!("{before}expected an object{rest}")
        }
        None => text.to_owned(),
    }
}

/// The same for numbers and lists, before the place in the text.
fn in_plain_words(text: &str) -> String {
    match text.rsplit_once(" at line ") {
        Some((reason, place)) => format!("{} at line {place}", plain_reason(reason)),
        None => plain_reason(text),
    }
}
