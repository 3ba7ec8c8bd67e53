//! Groq (<https://console.groq.com/docs/api-reference>).

use super::{Auth, Vendor, WholeAnswers};
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
    // Its slowest models are several times as fast as others.
    whole_answers: WholeAnswers { max_tokens: 65_536, tokens_per_second: 250 },
    headers: &[],
    models: Some("/models"),
};
