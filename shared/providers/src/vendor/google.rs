//! Google's Gemini API (<https://ai.google.dev/api/generate-content>). Its list names models as
//! `models/gemini-x`, and they may be asked for with or without the folder.

use super::{Auth, Vendor, WholeAnswers};
use crate::dialect::Dialect;
use crate::media::{Embeddings, Images, Media, TEXT};

/// Google.
pub(super) const VENDOR: Vendor = Vendor {
    kind: "google",
    title: "Google Gemini",
    base_url: Some("https://generativelanguage.googleapis.com/v1beta"),
    dialect: Dialect::Gemini,
    media: Media { embeddings: Some(Embeddings::Google), images: Some(Images::Google), ..TEXT },
    auth: Auth::Header("x-goog-api-key"),
    needs_key: true,
    whole_answers: WholeAnswers::HOSTED,
    headers: &[],
    // A page has 50 of them otherwise.
    models: Some("/models?pageSize=1000"),
};
