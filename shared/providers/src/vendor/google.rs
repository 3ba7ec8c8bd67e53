//! Google's Gemini API (<https://ai.google.dev/api/generate-content>). Its list names models as
//! `models/gemini-x`, and requests accept the name with or without the folder.

use super::definition::{Auth, Vendor, WholeAnswers};
use crate::{
    dialect::Dialect,
    media::{Embeddings, Images, Media, TEXT},
    rules::vendors::GEMINI,
};

/// Google.
pub(super) const VENDOR: Vendor = Vendor {
    kind: "google",
    title: "Google Gemini",
    base_url: Some("https://generativelanguage.googleapis.com/v1beta"),
    dialect: Dialect::Gemini,
    responses: false,
    rules: &GEMINI,
    media: Media { embeddings: Some(Embeddings::Google), images: Some(Images::Google), ..TEXT },
    auth: Auth::Header("x-goog-api-key"),
    needs_key: true,
    whole_answers: WholeAnswers::HOSTED,
    headers: &[],
    // The default is 50 per page.
    models: Some("/models?pageSize=1000"),
    balance: &[],
};
