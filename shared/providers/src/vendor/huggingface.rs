//! Hugging Face's router to inference providers (<https://huggingface.co/docs/inference-providers>): models are
//! `owner/model`, or `owner/model:provider`.

use super::definition::{Auth, Vendor, WholeAnswers};
use crate::{
    dialect::{Dialect, openai_chat::COMMON},
    media::{Embeddings, Images, Media, Meshes, TEXT},
    rules::vendors::HUGGING_FACE,
};

/// Hugging Face.
pub(super) const VENDOR: Vendor = Vendor {
    kind: "huggingface",
    title: "Hugging Face",
    base_url: Some("https://router.huggingface.co/v1"),
    dialect: Dialect::OpenAiChat(&COMMON),
    responses: false,
    rules: &HUGGING_FACE,
    media: Media {
        embeddings: Some(Embeddings::HuggingFace),
        images: Some(Images::HuggingFace),
        meshes: Some(Meshes::HuggingFace),
        ..TEXT
    },
    auth: Auth::Bearer,
    needs_key: true,
    whole_answers: WholeAnswers::HOSTED,
    headers: &[],
    models: Some("/models"),
    balance: &[],
};
