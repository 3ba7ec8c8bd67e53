//! Groq (<https://console.groq.com/docs/api-reference>).

use super::definition::{Auth, Vendor, WholeAnswers};
use crate::{
    dialect::{
        Dialect,
        openai_chat::{COMMON, Quirks},
    },
    media::TEXT,
    rules::vendors::GROQ,
};

/// Differences in OpenAI's dialect.
const QUIRKS: Quirks = Quirks { max_tokens: "max_completion_tokens", ..COMMON };

/// Groq.
pub(super) const VENDOR: Vendor = Vendor {
    kind: "groq",
    title: "Groq",
    base_url: Some("https://api.groq.com/openai/v1"),
    dialect: Dialect::OpenAiChat(&QUIRKS),
    responses: false,
    rules: &GROQ,
    media: TEXT,
    auth: Auth::Bearer,
    needs_key: true,
    // Its slowest models are several times as fast as other vendors'.
    whole_answers: WholeAnswers { max_tokens: 65_536, tokens_per_second: 250 },
    headers: &[],
    models: Some("/models"),
    balance: &[],
};
