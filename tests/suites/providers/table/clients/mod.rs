//! Columns of the clients: requests and responses of each dialect, in one piece or streamed, as its SDKs write and
//! read them.

mod chat;
mod gemini;
mod messages;
mod native;
mod ollama;
mod responses;

use serde_json::{Value, json};

use super::neutral::{Answer, Request, parameters};

/// Dialect of a client.
pub(super) struct Client {
    /// Name in the table.
    pub(super) name: &'static str,
    path: &'static str,
    /// Writes a request to a model.
    pub(super) request: fn(&Request, &str) -> Value,
    /// Sets the maximum tokens of the response.
    pub(super) set_max_tokens: fn(&mut Value, u32),
    /// Reads a whole response.
    pub(super) parse_answer: fn(&Value) -> Answer,
    /// Joins the events of a stream to a whole response.
    pub(super) join_stream: fn(&[Value]) -> Value,
    /// Writes the next request: the one before, its response unchanged, and the result of the call `c1`.
    pub(super) next_request: fn(Value, &Value, &str) -> Value,
    /// Reads the code of the error at a stream's end.
    pub(super) stream_error: fn(&[Value]) -> Option<String>,
    /// Reads `code` and `param` of an error response.
    pub(super) error: fn(&Value) -> Value,
}

/// Dialects of the clients.
pub(super) static ALL: [Client; 6] =
    [native::CLIENT, chat::CLIENT, messages::CLIENT, responses::CLIENT, ollama::CLIENT, gemini::CLIENT];

impl Client {
    /// Returns the path of a request. In Gemini's dialect it contains the model and the choice to stream.
    pub(super) fn path_of(&self, body: &Value) -> String {
        let path = self.path.replace("{model}", body["model"].as_str().unwrap_or_default());
        match body["stream"].as_bool() {
            Some(true) => path.replace(":generateContent", ":streamGenerateContent?alt=sse"),
            _ => path,
        }
    }
}

/// Returns the error of a response that has it in `error`.
fn own_error(answer: &Value) -> Value {
    answer["error"].clone()
}

/// Returns the tool `look`, as OpenAI writes tools in chats.
fn tool() -> Value {
    json!({"type": "function", "function": {"name": "look", "description": "Look somewhere.", "parameters": parameters()}})
}

/// Returns the conversation's messages, as OpenAI writes them in chats.
fn messages(request: &Request) -> Vec<Value> {
    let mut messages: Vec<Value> = request.turns.iter().flat_map(chat::turn).collect();
    if let Some(author) = &request.author {
        let of_user = messages.iter_mut().filter(|message| message["role"] == "user");
        of_user.for_each(|message| message["name"] = json!(author));
    }
    messages
}
