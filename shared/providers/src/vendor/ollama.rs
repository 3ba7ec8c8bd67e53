//! An Ollama server (<https://docs.ollama.com/api/openai-compatibility>), by its compatible API.

use super::{Auth, Vendor};
use crate::dialect::{
    Dialect,
    openai_chat::{COMMON, Habits},
};

/// How it speaks OpenAI's dialect.
const HABITS: Habits = Habits { choices: false, logprobs: false, parallel_tool_calls: false, ..COMMON };

/// Ollama.
pub(super) const VENDOR: Vendor = Vendor {
    kind: "ollama",
    title: "Ollama",
    base_url: Some("http://127.0.0.1:11434/v1"),
    dialect: Dialect::OpenAiChat(&HABITS),
    auth: Auth::Bearer,
    needs_key: false,
    headers: &[],
    models: Some("/models"),
};
