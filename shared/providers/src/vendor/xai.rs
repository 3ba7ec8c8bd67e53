//! xAI (<https://docs.x.ai/docs/api-reference>).

use super::definition::{Auth, Vendor, WholeAnswers};
use crate::{
    dialect::{Dialect, openai_chat::COMMON},
    media::{Images, Media, TEXT, openai_images},
    rules::vendors::XAI,
};

/// Differences in OpenAI's API for images: there is one size.
const IMAGES: openai_images::Quirks =
    openai_images::Quirks { size: false, quality: false, format: false, edits: false, samplers: false };

/// xAI.
pub(super) const VENDOR: Vendor = Vendor {
    kind: "xai",
    title: "xAI",
    base_url: Some("https://api.x.ai/v1"),
    dialect: Dialect::OpenAiChat(&COMMON),
    responses: false,
    rules: &XAI,
    media: Media { images: Some(Images::OpenAi(&IMAGES)), ..TEXT },
    auth: Auth::Bearer,
    needs_key: true,
    whole_answers: WholeAnswers::HOSTED,
    headers: &[],
    models: Some("/models"),
    balance: &[],
};
