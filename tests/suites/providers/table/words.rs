//! What is asked and answered, in nobody's dialect.

use serde_json::{Value, json};

/// What a client asks, and what a vendor is asked.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Asked {
    pub(super) system: Option<String>,
    pub(super) turns: Vec<Turn>,
    /// Whether the tool `look` is on offer.
    pub(super) tool: bool,
    pub(super) schema: Option<Value>,
    /// What the schema is called.
    pub(super) schema_name: Option<String>,
    /// Whether a text of the user's has a mark for the prompt cache.
    pub(super) mark: bool,
    pub(super) stop: Vec<String>,
    pub(super) seed: Option<u32>,
    /// Whether there is a field that the gateway doesn't know.
    pub(super) unknown: bool,
}

/// What one side says before the other does.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Turn {
    User(Vec<Part>),
    Assistant {
        /// Thoughts, each with its maker's seal.
        thoughts: Vec<(String, String)>,
        text: String,
        calls: Vec<Call>,
    },
    /// The results of calls, each with the id of its call.
    Results(Vec<(String, String)>),
}

/// A piece of what the user says.
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

/// A call of a tool.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Call {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) arguments: Value,
}

/// What a vendor says, and what a client is told.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Answer {
    pub(super) thoughts: String,
    /// The vendor's seal on them. A client only hands it back.
    pub(super) seal: String,
    pub(super) text: String,
    /// What the model says in place of an answer.
    pub(super) refusal: String,
    pub(super) calls: Vec<Call>,
    pub(super) end: End,
    pub(super) usage: Usage,
}

/// Why an answer ended.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) enum End {
    #[default]
    Turn,
    /// This stop text was met.
    StopText(String),
    Length,
    Calls,
    /// Somebody wouldn't say it.
    Filtered,
}

/// Tokens of the prompt, of the answer, of the prompt those that were kept, of the answer those of thoughts.
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

/// The field that the gateway doesn't know.
pub(super) const UNKNOWN: &str = "vendor_option";

/// The arguments of the tool `look`.
pub(super) fn parameters() -> Value {
    json!({"type": "object", "properties": {"at": {"type": "string"}}, "required": ["at"], "additionalProperties": false})
}

/// A call of `look`.
pub(super) fn look(id: &str, at: &str) -> Call {
    Call { id: id.to_owned(), name: "look".to_owned(), arguments: json!({"at": at}) }
}

pub(super) fn says(text: &str) -> Turn {
    Turn::User(vec![Part::Text(text.to_owned())])
}

/// Some JSON's text; empty if it is none.
pub(super) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

pub(super) fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or(u64::MAX)
}

pub(super) fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// JSON in a text.
pub(super) fn parsed(value: &Value) -> Value {
    serde_json::from_str(value.as_str().unwrap_or_default()).unwrap_or(Value::Null)
}

/// A text in two pieces, as it is streamed.
pub(super) fn halves(text: &str) -> [String; 2] {
    let at = (text.len() / 2..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or_default();
    [text[..at].to_owned(), text[at..].to_owned()]
}

/// A picture or its address, as OpenAI and others write both.
pub(super) fn pictured(url: &str) -> Part {
    match url.strip_prefix("data:image/png;base64,") {
        Some(data) => Part::Picture(data.to_owned()),
        None => Part::Link(url.to_owned()),
    }
}

/// The address that stands for a part, if it is a picture.
pub(super) fn address(part: &Part) -> String {
    match part {
        Part::Picture(data) => format!("data:image/png;base64,{data}"),
        Part::Link(url) => url.clone(),
        Part::Document(data) => format!("data:application/pdf;base64,{data}"),
        Part::Text(_) => String::new(),
    }
}

/// A PDF in a data URL.
pub(super) fn document(url: &str) -> Part {
    Part::Document(url.strip_prefix("data:application/pdf;base64,").unwrap_or_default().to_owned())
}

/// A mark for the prompt cache, as Anthropic has it.
pub(super) fn mark() -> Value {
    json!({"type": "ephemeral"})
}

/// Appends the result of a call to those that stand last, or as the first.
pub(super) fn add_result(turns: &mut Vec<Turn>, id: String, result: String) {
    match turns.last_mut() {
        Some(Turn::Results(results)) => results.push((id, result)),
        _ => turns.push(Turn::Results(vec![(id, result)])),
    }
}
