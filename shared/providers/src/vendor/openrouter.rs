//! OpenRouter (<https://openrouter.ai/docs/api-reference>): many vendors' models under `vendor/model`.

use super::{Auth, Vendor};
use crate::dialect::{
    Dialect,
    openai_chat::{COMMON, Habits},
};
use crate::media::{Embeddings, Media, TEXT};

/// How it speaks OpenAI's dialect.
const HABITS: Habits = Habits { samplers: true, ..COMMON };

/// OpenRouter.
pub(super) const VENDOR: Vendor = Vendor {
    kind: "openrouter",
    title: "OpenRouter",
    base_url: Some("https://openrouter.ai/api/v1"),
    dialect: Dialect::OpenAiChat(&HABITS),
    media: Media { embeddings: Some(Embeddings::OpenAi("dimensions")), ..TEXT },
    auth: Auth::Bearer,
    needs_key: true,
    headers: &[],
    models: Some("/models"),
};
