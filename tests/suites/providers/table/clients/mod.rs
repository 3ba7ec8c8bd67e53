//! The columns of the clients: how each asks, and reads what it is told, in one piece or streamed, as the SDKs of
//! its dialect do.

mod chat;
mod gemini;
mod messages;
mod native;
mod ollama;
mod responses;

use serde_json::{Value, json};

use super::words::{Answer, Asked, parameters};

/// A client's dialect.
pub(super) struct Client {
    /// What the table calls it.
    pub(super) name: &'static str,
    path: &'static str,
    /// The request, to this model.
    pub(super) asks: fn(&Asked, &str) -> Value,
    /// Sets the most tokens of the answer.
    pub(super) limits: fn(&mut Value, u32),
    /// What a whole answer tells.
    pub(super) is_told: fn(&Value) -> Answer,
    /// The whole answer that the events of a stream add up to.
    pub(super) adds_up: fn(&[Value]) -> Value,
    /// The next request: the one before, the answer to it as it was given, and the result of the call `c1`.
    pub(super) goes_on: fn(Value, &Value, &str) -> Value,
    /// The code of the error that a stream ended with, as this dialect says it.
    pub(super) is_failed: fn(&[Value]) -> Option<String>,
    /// What an answer says of its error: `code` and `param`.
    pub(super) error: fn(&Value) -> Value,
}

/// Every client's dialect.
pub(super) static ALL: [Client; 6] =
    [native::CLIENT, chat::CLIENT, messages::CLIENT, responses::CLIENT, ollama::CLIENT, gemini::CLIENT];

impl Client {
    /// The path of a request. In Gemini's dialect it names the model, and says whether to stream.
    pub(super) fn path_of(&self, body: &Value) -> String {
        let path = self.path.replace("{model}", body["model"].as_str().unwrap_or_default());
        match body["stream"].as_bool() {
            Some(true) => path.replace(":generateContent", ":streamGenerateContent?alt=sse"),
            _ => path,
        }
    }
}

/// The error of an answer that has it in `error`.
fn own_error(answer: &Value) -> Value {
    answer["error"].clone()
}

/// The tool `look`, as OpenAI writes tools in chats.
fn tool() -> Value {
    json!({"type": "function", "function": {"name": "look", "description": "Look somewhere.", "parameters": parameters()}})
}

/// The conversation's messages, as OpenAI writes them in chats.
fn messages(asked: &Asked) -> Vec<Value> {
    asked.turns.iter().flat_map(chat::turn).collect()
}
