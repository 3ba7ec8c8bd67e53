//! Reads the JSON documents of providers: answers in one piece, errors, lists of models, balances and tokens.
//!
//! A document may begin with a byte order mark, lie in a stream of events, and have the mistakes that [`repair`] knows.

use std::borrow::Cow;

use futures::StreamExt as _;
use hearth_wire::ApiError;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{
    answer_error::unreadable,
    decompress,
    dialect::{
        failure::{failure, named_failure, stated_failure},
        repair,
    },
    framing::{BYTE_ORDER_MARK, FRAME_MAX_BYTES, SseReader, lossy_text},
    lenient::is_present,
    transport::HttpResponse,
};

/// The document in the bytes of a body.
enum Document<'a> {
    Json(Cow<'a, [u8]>),
    /// The data of an event named `error`, which may be any text.
    ErrorEvent(String),
}

/// Reads the whole body of a response, decompressed.
///
/// # Errors
/// `provider_error` for a body that breaks off, or has more than `max_bytes`, or an unknown content coding.
pub(crate) async fn read_body(response: HttpResponse, max_bytes: usize) -> Result<Vec<u8>, ApiError> {
    let (mut body, mut pieces) = (Vec::new(), decompress::body_of(response)?);
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|_| unreadable("it broke off"))?;
        if body.len() + piece.len() > max_bytes {
            return Err(unreadable(format!("it has more than {} KiB", max_bytes >> 10)));
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

/// Parses a document. Servers that only stream send it in the last of several events.
///
/// # Errors
/// The provider's own error, if the document states one; `provider_error` for a document of another shape.
pub(crate) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    let document = match document(body)? {
        Document::Json(document) => document,
        Document::ErrorEvent(data) => return Err(named_failure(&data)),
    };
    let error = match serde_json::from_slice(&document) {
        Ok(parsed) => return Ok(parsed),
        Err(error) => unreadable(error),
    };
    let text = repaired(&document);
    serde_json::from_str(&text).map_err(|_| stated_failure(&text).unwrap_or(error))
}

/// Parses a document as any JSON without an error in it.
///
/// # Errors
/// As [`parse`] and [`check`].
pub(crate) fn parse_json(body: &[u8]) -> Result<Value, ApiError> {
    let document: Value = parse(body)?;
    check(body, &document["error"], false)?;
    Ok(document)
}

/// Parses the body of an error response. Null if it has no document; a text in an error event becomes the field `error`.
pub(crate) fn parse_error(body: &[u8]) -> Value {
    match document(body) {
        Ok(Document::Json(document)) => serde_json::from_str(&repaired(&document)).unwrap_or_default(),
        Ok(Document::ErrorEvent(data)) => {
            serde_json::from_str(&data).unwrap_or_else(|_| json!({"error": data}))
        }
        Err(_) => Value::Null,
    }
}

/// Checks a parsed document for an error: in its field `error`, or anywhere if the document `is_empty` otherwise.
///
/// # Errors
/// The provider's own error.
pub(crate) fn check(body: &[u8], error: &Value, is_empty: bool) -> Result<(), ApiError> {
    if is_present(error) {
        return Err(failure(error));
    }
    match document(body) {
        Ok(Document::Json(document)) if is_empty => stated_failure(&repaired(&document)).map_or(Ok(()), Err),
        _ => Ok(()),
    }
}

/// Returns the error that an answer states in place of a file.
pub(crate) fn failure_in_place_of_file(bytes: &[u8]) -> Option<ApiError> {
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).ok().filter(|text| text.trim_start().starts_with('{'))?;
    stated_failure(text)
}

/// Returns the text of a document, repaired if that changes it and the text isn't longer than a frame of a stream may be.
fn repaired(document: &[u8]) -> Cow<'_, str> {
    let text = lossy_text(document);
    if text.len() > FRAME_MAX_BYTES {
        return text;
    }
    match repair(&text) {
        Some(repaired) => Cow::Owned(repaired),
        None => text,
    }
}

fn document(body: &[u8]) -> Result<Document<'_>, ApiError> {
    let body = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body).trim_ascii();
    match body.first() {
        None => Err(unreadable("it is empty")),
        Some(b'{' | b'[') => Ok(Document::Json(Cow::Borrowed(body))),
        Some(b'<') => Err(unreadable("it is a page of HTML or XML, not JSON")),
        Some(_) => last_event(body),
    }
}

fn last_event(body: &[u8]) -> Result<Document<'static>, ApiError> {
    let (mut reader, mut frames) = (SseReader::default(), Vec::new());
    reader.push(body, &mut frames)?;
    reader.finish(&mut frames)?;
    if let Some(at) = frames.iter().position(|frame| frame.event == "error") {
        return Ok(Document::ErrorEvent(frames.swap_remove(at).data));
    }
    let last = frames.into_iter().rev().find(|frame| frame.data.trim_start().starts_with('{'));
    let last = last.ok_or_else(|| unreadable("it isn't JSON"))?;
    Ok(Document::Json(Cow::Owned(last.data.into_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The ways in which servers and proxies wrap a document.
    fn wrapped(document: &str) -> Vec<Vec<u8>> {
        vec![
            document.into(),
            format!("\u{feff}\r\n{document}\n").into(),
            format!("data: {document}\n\ndata: [DONE]\n\n").into(),
            format!(": hi\nevent: x\ndata: {document}").into(),
        ]
    }

    #[test]
    fn document_is_parsed_in_any_wrapping() {
        for body in wrapped(r#"{"data":[{"id":"m"}]}"#) {
            assert_eq!(parse_json(&body).unwrap(), json!({"data": [{"id": "m"}]}));
        }
        let broken = [&b"{\"n\":NaN,\"id\":\"m\\ud83d"[..], b"\xff", b"\"}"].concat();
        assert_eq!(parse_json(&broken).unwrap(), json!({"n": null, "id": "m\u{fffd}\u{fffd}"}));
        for (body, problem) in
            [("", "empty"), ("\u{feff} ", "empty"), ("<html>", "HTML"), ("hello", "isn't JSON")]
        {
            assert!(parse_json(body.as_bytes()).unwrap_err().message.contains(problem), "{body}");
        }
    }

    #[test]
    fn error_is_parsed_in_any_wrapping() {
        for body in wrapped(r#"{"error":{"message":"not loaded"}}"#) {
            assert_eq!(parse_error(&body), json!({"error": {"message": "not loaded"}}));
            assert!(parse_json(&body).unwrap_err().message.contains("not loaded"));
        }
        assert_eq!(parse_error(b"event: error\ndata: {\"detail\":\"no\"}\n\n"), json!({"detail": "no"}));
        assert_eq!(parse_error(b"event: error\ndata: not loaded\n\n"), json!({"error": "not loaded"}));
        for body in ["", "<html>", "hello", "{\"error\":"] {
            assert_eq!(parse_error(body.as_bytes()), Value::Null, "{body}");
        }
    }
}
