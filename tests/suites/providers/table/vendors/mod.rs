//! The columns of the vendors: how each says an answer, fails in the middle of one, and reads what it is asked, by
//! the documentation that its dialect in the gateway names.

pub(super) mod anthropic;
pub(super) mod bedrock;
pub(super) mod chat;
pub(super) mod gemini;
pub(super) mod responses;

use hearth_tests::{Received, Reply};
use serde_json::Value;

use super::words::{Answer, Asked};

/// A vendor's dialect.
pub(super) struct Vendor {
    /// What the table calls it; also the provider's name.
    pub(super) name: &'static str,
    /// The path of its base URL.
    pub(super) path: &'static str,
    /// Its kind, and what else its settings say.
    pub(super) settings: &'static str,
    pub(super) model: &'static str,
    /// Says an answer in a stream.
    pub(super) says: fn(&Answer) -> Reply,
    /// Says it in one piece.
    pub(super) says_whole: fn(&Answer) -> Reply,
    /// Whether a request asks for a stream.
    pub(super) streams: fn(&Received) -> bool,
    /// Begins to say a text.
    pub(super) begins: fn(&str) -> Reply,
    /// The same, and fails.
    pub(super) fails: fn(&str, Failure) -> Reply,
    pub(super) hears: fn(&Received) -> Asked,
}

/// How a vendor fails in the middle of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// It has too much to do.
    Overloaded,
    /// Something is broken.
    Fault,
}

/// Every vendor's dialect.
pub(super) static ALL: [Vendor; 5] =
    [chat::VENDOR, responses::VENDOR, anthropic::VENDOR, gemini::VENDOR, bedrock::VENDOR];

/// Whether the body of a request asks for a stream, as three vendors have it.
fn streams_by_body(received: &Received) -> bool {
    let stream = received.body["stream"].as_bool();
    stream.unwrap_or_else(|| panic!("no word of a stream in {}", received.body))
}

/// Server-sent events that are named by their type.
fn named_events(events: &[Value]) -> Reply {
    let frame =
        |event: &Value| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or_default());
    Reply::stream(&events.iter().map(frame).collect::<String>())
}

/// Whether a part has a mark for the prompt cache.
fn has_mark(parts: &Value) -> bool {
    super::words::list(parts).iter().any(|part| part["cache_control"] == super::words::mark())
}

/// That a request has the key of the settings where this vendor wants it.
fn has_key(received: &Received, header: &str, key: &str) {
    let given = received.headers.get(header).and_then(|value| value.to_str().ok());
    assert_eq!(given, Some(key), "{header} of {}", received.path);
}
