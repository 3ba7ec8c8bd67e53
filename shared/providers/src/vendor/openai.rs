//! OpenAI (<https://platform.openai.com/docs/api-reference>).

use super::{Auth, Vendor};
use crate::dialect::{
    Dialect,
    openai_chat::{COMMON, Habits},
};

/// How it speaks OpenAI's dialect.
const HABITS: Habits = Habits { max_tokens: "max_completion_tokens", ..COMMON };

/// OpenAI.
pub(super) const VENDOR: Vendor = Vendor {
    kind: "openai",
    title: "OpenAI",
    base_url: Some("https://api.openai.com/v1"),
    dialect: Dialect::OpenAiChat(&HABITS),
    auth: Auth::Bearer,
    needs_key: true,
    headers: &[],
    models: Some("/models"),
};
