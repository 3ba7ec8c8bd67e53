//! xAI (<https://docs.x.ai/docs/api-reference>).

use super::{Auth, Vendor, WholeAnswers};
use crate::dialect::{Dialect, openai_chat::COMMON};
use crate::media::{Images, Media, TEXT, openai_images};

/// How it draws: in one size.
const IMAGES: openai_images::Habits =
    openai_images::Habits { size: false, quality: false, format: false, edits: false, samplers: false };

/// xAI.
pub(super) const VENDOR: Vendor = Vendor {
    kind: "xai",
    title: "xAI",
    base_url: Some("https://api.x.ai/v1"),
    dialect: Dialect::OpenAiChat(&COMMON),
    media: Media { images: Some(Images::OpenAi(&IMAGES)), ..TEXT },
    auth: Auth::Bearer,
    needs_key: true,
    whole_answers: WholeAnswers::HOSTED,
    headers: &[],
    models: Some("/models"),
};
