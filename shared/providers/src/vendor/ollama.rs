//! An Ollama server (<https://docs.ollama.com/api/openai-compatibility>), by its compatible API.

use super::definition::{Auth, Vendor, WholeAnswers};
use crate::{
    dialect::{
        Dialect,
        openai_chat::{COMMON, Quirks, SentThoughts},
    },
    media::{Embeddings, Images, Media, TEXT, openai_images},
    rules::vendors::OLLAMA,
};

/// Differences in OpenAI's API for images.
const IMAGES: openai_images::Quirks =
    openai_images::Quirks { quality: false, format: false, edits: false, ..openai_images::OPENAI };

/// Differences in OpenAI's dialect.
const QUIRKS: Quirks = Quirks { parallel_tool_calls: false, sent_thoughts: SentThoughts::All, ..COMMON };

/// Ollama.
pub(super) const VENDOR: Vendor = Vendor {
    kind: "ollama",
    title: "Ollama",
    base_url: Some("http://127.0.0.1:11434/v1"),
    dialect: Dialect::OpenAiChat(&QUIRKS),
    responses: false,
    rules: &OLLAMA,
    media: Media {
        embeddings: Some(Embeddings::OpenAi("dimensions")),
        images: Some(Images::OpenAi(&IMAGES)),
        ..TEXT
    },
    auth: Auth::Bearer,
    needs_key: false,
    whole_answers: WholeAnswers::OWN_SERVER,
    headers: &[],
    models: Some("/models"),
    balance: &[],
};
