//! OpenAI (<https://platform.openai.com/docs/api-reference>).

use super::definition::{Auth, Vendor, WholeAnswers};
use crate::{
    dialect::{
        Dialect,
        openai_chat::{COMMON, Quirks},
    },
    media::{Embeddings, Images, Media, TEXT, openai_images},
    rules::vendors::OPENAI,
};

/// Differences in OpenAI's dialect.
const QUIRKS: Quirks = Quirks { max_tokens: "max_completion_tokens", ..COMMON };

/// OpenAI.
pub(super) const VENDOR: Vendor = Vendor {
    kind: "openai",
    title: "OpenAI",
    base_url: Some("https://api.openai.com/v1"),
    dialect: Dialect::OpenAiChat(&QUIRKS),
    responses: true,
    rules: &OPENAI,
    media: Media {
        embeddings: Some(Embeddings::OpenAi("dimensions")),
        images: Some(Images::OpenAi(&openai_images::OPENAI)),
        ..TEXT
    },
    auth: Auth::Bearer,
    needs_key: true,
    whole_answers: WholeAnswers::HOSTED,
    headers: &[],
    models: Some("/models"),
    balance: &[],
};
