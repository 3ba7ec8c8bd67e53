//! Groq (<https://console.groq.com/docs/api-reference>).

use super::{Auth, Vendor};
use crate::dialect::{
    Dialect,
    openai_chat::{COMMON, Habits},
};
use crate::media::TEXT;

/// How it speaks OpenAI's dialect.
const HABITS: Habits = Habits { max_tokens: "max_completion_tokens", ..COMMON };

/// Groq.
pub(super) const VENDOR: Vendor = Vendor {
    kind: "groq",
    title: "Groq",
    base_url: Some("https://api.groq.com/openai/v1"),
    dialect: Dialect::OpenAiChat(&HABITS),
    media: TEXT,
    auth: Auth::Bearer,
    needs_key: true,
    // Hundreds of tokens a second: its longest answers are there within the time for a whole one.
    long_whole_answers: true,
    headers: &[],
    models: Some("/models"),
};
