//! Stability (<https://platform.stability.ai/docs/api-reference>): images and meshes, no text. Its API has no
//! list of models.

use super::definition::{Auth, Vendor, WholeAnswers};
use crate::{
    dialect::{Dialect, openai_chat::COMMON},
    media::{Images, Media, Meshes},
    rules::vendors::UNRESTRICTED,
};

/// Stability.
pub(super) const VENDOR: Vendor = Vendor {
    kind: "stability",
    title: "Stability AI",
    base_url: Some("https://api.stability.ai"),
    // Unused: it doesn't generate text.
    dialect: Dialect::OpenAiChat(&COMMON),
    responses: false,
    rules: &UNRESTRICTED,
    media: Media {
        text: false,
        embeddings: None,
        images: Some(Images::Stability),
        meshes: Some(Meshes::Stability),
    },
    auth: Auth::Bearer,
    needs_key: true,
    whole_answers: WholeAnswers::HOSTED,
    headers: &[],
    models: None,
    balance: &[],
};
