//! Requests and responses without a dialect.

use serde_json::{Value, json};

/// Request of a client, and to a vendor.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Request {
    pub(super) system: Option<String>,
    pub(super) turns: Vec<Turn>,
    /// True if there is the tool `look`.
    pub(super) tool: bool,
    pub(super) schema: Option<Value>,
    /// Name of the schema.
    pub(super) schema_name: Option<String>,
    /// Name of the author of the user's messages.
    pub(super) author: Option<String>,
    /// True if a text of the user has a mark for the prompt cache.
    pub(super) mark: bool,
    pub(super) stop: Vec<String>,
    pub(super) seed: Option<u32>,
    /// True if there is an unknown field.
    pub(super) unknown: bool,
}

/// Turn of a conversation.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Turn {
    User(Vec<Part>),
    Assistant {
        /// Reasoning, each with its signature.
        thoughts: Vec<(String, String)>,
        text: String,
        calls: Vec<Call>,
    },
    /// Results of calls, each with the id of its call.
    Results(Vec<(String, String)>),
}

/// Part of a user's message.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Part {
    Text(String),
    /// A PNG, in base64.
    Picture(String),
    /// A picture's address.
    Link(String),
    /// A PDF, in base64.
    Document(String),
}

/// Tool call.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Call {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) arguments: Value,
}

/// Response of a vendor, and to a client.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Answer {
    pub(super) thoughts: String,
    /// Signature of the reasoning. A client only returns it.
    pub(super) seal: String,
    pub(super) text: String,
    /// Refusal of the model in place of a text.
    pub(super) refusal: String,
    pub(super) calls: Vec<Call>,
    pub(super) end: End,
    pub(super) usage: Usage,
}

/// Reason why a response ended.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) enum End {
    #[default]
    Turn,
    /// This stop text was met.
    StopText(String),
    Length,
    Calls,
    /// Refused by the model or the provider.
    Filtered,
}

/// Tokens of the prompt and of the response, cached ones of the prompt, and those of reasoning.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Usage {
    pub(super) prompt: u64,
    pub(super) completion: u64,
    pub(super) cached: u64,
    pub(super) thoughts: u64,
}

impl Default for Usage {
    fn default() -> Self {
        Self { prompt: 20, completion: 9, cached: 12, thoughts: 0 }
    }
}

/// Name of the unknown field.
pub(super) const UNKNOWN: &str = "vendor_option";

/// Schema of the arguments of `look`.
pub(super) fn parameters() -> Value {
    json!({"type": "object", "properties": {"at": {"type": "string"}}, "required": ["at"], "additionalProperties": false})
}

/// Creates a call of `look`.
pub(super) fn look(id: &str, at: &str) -> Call {
    Call { id: id.to_owned(), name: "look".to_owned(), arguments: json!({"at": at}) }
}

pub(super) fn user_turn(text: &str) -> Turn {
    Turn::User(vec![Part::Text(text.to_owned())])
}

/// Returns a JSON string's text; empty for another value.
pub(super) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

pub(super) fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or(u64::MAX)
}

pub(super) fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// Parses a JSON text in a string.
pub(super) fn parsed(value: &Value) -> Value {
    serde_json::from_str(value.as_str().unwrap_or_default()).unwrap_or(Value::Null)
}

/// Splits a text into two pieces, as it is streamed.
pub(super) fn halves(text: &str) -> [String; 2] {
    let at = (text.len() / 2..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or_default();
    [text[..at].to_owned(), text[at..].to_owned()]
}

/// Parses an image URL, which may be a data URL.
pub(super) fn pictured(url: &str) -> Part {
    match url.strip_prefix("data:image/png;base64,") {
        Some(data) => Part::Picture(data.to_owned()),
        None => Part::Link(url.to_owned()),
    }
}

/// Returns the URL of an image or document, which may be a data URL.
pub(super) fn address(part: &Part) -> String {
    match part {
        Part::Picture(data) => format!("data:image/png;base64,{data}"),
        Part::Link(url) => url.clone(),
        Part::Document(data) => format!("data:application/pdf;base64,{data}"),
        Part::Text(_) => String::new(),
    }
}

/// Parses the data URL of a PDF.
pub(super) fn document(url: &str) -> Part {
    Part::Document(url.strip_prefix("data:application/pdf;base64,").unwrap_or_default().to_owned())
}

/// Returns a mark for the prompt cache, as Anthropic has it.
pub(super) fn mark() -> Value {
    json!({"type": "ephemeral"})
}

/// Appends the result of a call to those of the last turn, or as a new turn.
pub(super) fn add_result(turns: &mut Vec<Turn>, id: String, result: String) {
    match turns.last_mut() {
        Some(Turn::Results(results)) => results.push((id, result)),
        _ => turns.push(Turn::Results(vec![(id, result)])),
    }
}
