//! Stability (<https://platform.stability.ai/docs/api-reference>): images and meshes, and no text. Its API has no
//! list of models.

use super::{Auth, Vendor, WholeAnswers};
use crate::dialect::{Dialect, openai_chat::COMMON};
use crate::media::{Images, Media, Meshes};

/// Stability.
pub(super) const VENDOR: Vendor = Vendor {
    kind: "stability",
    title: "Stability AI",
    base_url: Some("https://api.stability.ai"),
    // Nobody is asked in it: it makes no text.
    dialect: Dialect::OpenAiChat(&COMMON),
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
};
