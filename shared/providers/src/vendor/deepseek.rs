//! DeepSeek (<https://api-docs.deepseek.com/api/create-chat-completion>): a JSON object and no schema.

use super::{Auth, Vendor};
use crate::dialect::{
    Dialect,
    openai_chat::{COMMON, Habits},
};
use crate::media::TEXT;

/// How it speaks OpenAI's dialect.
const HABITS: Habits = Habits {
    seed: None,
    choices: false,
    parallel_tool_calls: false,
    reasoning_effort: false,
    json_schema: false,
    ..COMMON
};

/// DeepSeek.
pub(super) const VENDOR: Vendor = Vendor {
    kind: "deepseek",
    title: "DeepSeek",
    base_url: Some("https://api.deepseek.com"),
    dialect: Dialect::OpenAiChat(&HABITS),
    media: TEXT,
    auth: Auth::Bearer,
    needs_key: true,
    headers: &[],
    models: Some("/models"),
};
