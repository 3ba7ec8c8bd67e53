//! Reads the JSON document of an answer, also out of a byte order mark or a stream of events.

use std::borrow::Cow;

use hearth_wire::ApiError;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    answer_error::unreadable,
    dialect::failure::{failure, named_failure, stated_failure},
    framing::SseReader,
    lenient::is_present,
};

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Parses the document of an answer. Servers that only stream send it in the last of several events.
///
/// # Errors
/// The provider's own error, if the document states one; `provider_error` for a document of another shape.
pub(super) fn parse<T: DeserializeOwned>(answer: &[u8]) -> Result<T, ApiError> {
    let document = document(answer)?;
    let error = match serde_json::from_slice(&document) {
        Ok(parsed) => return Ok(parsed),
        Err(error) => unreadable(error),
    };
    Err(std::str::from_utf8(&document).ok().and_then(stated_failure).unwrap_or(error))
}

/// Parses the document of an answer as any JSON without an error in it.
///
/// # Errors
/// As [`parse`] and [`check`].
pub(super) fn parse_json(answer: &[u8]) -> Result<Value, ApiError> {
    let document: Value = parse(answer)?;
    check(answer, &document["error"], false)?;
    Ok(document)
}

/// Checks a parsed document for an error: in its field `error`, or anywhere if the document `is_empty` otherwise.
///
/// # Errors
/// The provider's own error.
pub(super) fn check(answer: &[u8], error: &Value, is_empty: bool) -> Result<(), ApiError> {
    if is_present(error) {
        return Err(failure(error));
    }
    let stated = || std::str::from_utf8(&document(answer).ok()?).ok().and_then(stated_failure);
    if is_empty { stated().map_or(Ok(()), Err) } else { Ok(()) }
}

/// Returns the error that an answer states in place of a file.
pub(super) fn failure_in_place_of_file(bytes: &[u8]) -> Option<ApiError> {
    let text = std::str::from_utf8(bytes).ok().filter(|text| text.trim_start().starts_with('{'))?;
    stated_failure(text)
}

fn document(bytes: &[u8]) -> Result<Cow<'_, [u8]>, ApiError> {
    let body = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes).trim_ascii();
    match body.first() {
        None => Err(unreadable("it is empty")),
        Some(b'{' | b'[') => Ok(Cow::Borrowed(body)),
        Some(b'<') => Err(unreadable("it is a page of HTML or XML, not JSON")),
        Some(_) => last_event(body),
    }
}

fn last_event(body: &[u8]) -> Result<Cow<'_, [u8]>, ApiError> {
    let (mut reader, mut frames) = (SseReader::default(), Vec::new());
    reader.push(body, &mut frames)?;
    reader.finish(&mut frames)?;
    if let Some(error) = frames.iter().find(|frame| frame.event == "error") {
        return Err(named_failure(&error.data));
    }
    let last = frames.into_iter().rev().find(|frame| frame.data.trim_start().starts_with('{'));
    last.map(|frame| Cow::Owned(frame.data.into_bytes())).ok_or_else(|| unreadable("it isn't JSON"))
}
