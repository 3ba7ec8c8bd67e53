//! The JSON document of an answer that comes whole, in whichever wrapping.

use std::borrow::Cow;

use hearth_wire::ApiError;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Answer;
use crate::{
    dialect::{
        failure::{failure, named_failure, stated_failure},
        unreadable,
    },
    framing::SseReader,
    lenient::says_something,
};

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Parses the document of an answer. Servers that only stream send it in the last of several events.
///
/// # Errors
/// The provider's own error, if the document states one; `provider_error` for what is no such document.
pub(super) fn parse<T: DeserializeOwned>(answer: &Answer) -> Result<T, ApiError> {
    let document = document(&answer.bytes)?;
    let error = match serde_json::from_slice(&document) {
        Ok(parsed) => return Ok(parsed),
        Err(error) => unreadable(error),
    };
    Err(std::str::from_utf8(&document).ok().and_then(stated_failure).unwrap_or(error))
}

/// Fails with the error that a parsed document states in its envelope, or, if `nothing` was made, anywhere.
///
/// # Errors
/// That error.
pub(super) fn check(answer: &Answer, error: &Value, nothing: bool) -> Result<(), ApiError> {
    if says_something(error) {
        return Err(failure(error));
    }
    let stated = || std::str::from_utf8(&document(&answer.bytes).ok()?).ok().and_then(stated_failure);
    if nothing { stated().map_or(Ok(()), Err) } else { Ok(()) }
}

/// The error that an answer states which should have been a file.
pub(super) fn failure_in_place_of_file(bytes: &[u8]) -> Option<ApiError> {
    let text = std::str::from_utf8(bytes).ok().filter(|text| text.trim_start().starts_with('{'))?;
    stated_failure(text)
}

fn document(bytes: &[u8]) -> Result<Cow<'_, [u8]>, ApiError> {
    let body = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes).trim_ascii();
    match body.first() {
        None => Err(unreadable("it is empty")),
        Some(b'{' | b'[') => Ok(Cow::Borrowed(body)),
        Some(b'<') => Err(unreadable("it is a page of HTML or XML, and no JSON")),
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
    last.map(|frame| Cow::Owned(frame.data.into_bytes())).ok_or_else(|| unreadable("it is no JSON"))
}
