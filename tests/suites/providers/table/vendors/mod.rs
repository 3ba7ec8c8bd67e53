//! Columns of the vendors: responses, failures and requests of each dialect, by the documentation that its module in
//! the gateway names.

pub(super) mod anthropic;
pub(super) mod bedrock;
pub(super) mod chat;
pub(super) mod gemini;
pub(super) mod responses;

use hearth_tests::{Received, Reply};
use serde_json::Value;

use super::neutral::{Answer, Request};

/// Dialect of a vendor.
pub(super) struct Vendor {
    /// Name in the table, and of the provider.
    pub(super) name: &'static str,
    /// Path of its base URL.
    pub(super) path: &'static str,
    /// Kind and other settings.
    pub(super) settings: &'static str,
    pub(super) model: &'static str,
    /// Writes a response as a stream.
    pub(super) stream_answer: fn(&Answer) -> Reply,
    /// Writes a response in one piece.
    pub(super) whole_answer: fn(&Answer) -> Reply,
    /// Reads whether a request asks for a stream.
    pub(super) streams: fn(&Received) -> bool,
    /// Writes the start of a stream.
    pub(super) begins: fn(&str) -> Reply,
    /// Writes the start of a stream, and a failure.
    pub(super) fails: fn(&str, Failure) -> Reply,
    pub(super) parse_request: fn(&Received) -> Request,
}

/// Failure of a vendor in the middle of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// Overload.
    Overloaded,
    /// Internal fault.
    Fault,
}

/// Dialects of the vendors.
pub(super) static ALL: [Vendor; 5] =
    [chat::VENDOR, responses::VENDOR, anthropic::VENDOR, gemini::VENDOR, bedrock::VENDOR];

/// Reads whether the body of a request asks for a stream, as three vendors have it.
fn streams_by_body(received: &Received) -> bool {
    let stream = received.body["stream"].as_bool();
    stream.unwrap_or_else(|| panic!("no word of a stream in {}", received.body))
}

/// Returns server-sent events named by their type.
fn named_events(events: &[Value]) -> Reply {
    let frame =
        |event: &Value| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or_default());
    Reply::stream(&events.iter().map(frame).collect::<String>())
}

/// Returns whether a part has a mark for the prompt cache.
fn has_mark(parts: &Value) -> bool {
    super::neutral::list(parts).iter().any(|part| part["cache_control"] == super::neutral::mark())
}

/// Asserts that a request has the key of the settings in this vendor's header.
fn has_key(received: &Received, header: &str, key: &str) {
    let value = received.headers.get(header).and_then(|value| value.to_str().ok());
    assert_eq!(value, Some(key), "{header} of {}", received.path);
}
