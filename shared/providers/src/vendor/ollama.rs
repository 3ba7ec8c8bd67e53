//! An Ollama server (<https://docs.ollama.com/api/openai-compatibility>), by its compatible API.

use super::{Auth, Vendor, WholeAnswers};
use crate::dialect::{
    Dialect,
    openai_chat::{COMMON, Habits, Thoughts},
};
use crate::media::{Embeddings, Images, Media, TEXT, openai_images};

/// How it draws: the seed is the model's own.
const IMAGES: openai_images::Habits =
    openai_images::Habits { quality: false, format: false, edits: false, ..openai_images::OPENAI };

/// How it speaks OpenAI's dialect.
const HABITS: Habits = Habits { parallel_tool_calls: false, thoughts: Thoughts::AsGiven, ..COMMON };

/// Ollama.
pub(super) const VENDOR: Vendor = Vendor {
    kind: "ollama",
    title: "Ollama",
    base_url: Some("http://127.0.0.1:11434/v1"),
    dialect: Dialect::OpenAiChat(&HABITS),
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
};
