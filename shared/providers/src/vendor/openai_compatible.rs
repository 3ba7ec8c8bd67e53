//! Any server that speaks OpenAI's chat completions: vLLM, llama-server, LM Studio and others, at its own
//! address.

use super::{Auth, Vendor, WholeAnswers};
use crate::dialect::{
    Dialect,
    openai_chat::{COMMON, Habits, Thoughts},
};
use crate::media::{Embeddings, Images, Media, TEXT, openai_images};

/// How it draws: diffusion models know more than OpenAI's.
const IMAGES: openai_images::Habits = openai_images::Habits { samplers: true, ..openai_images::OPENAI };

/// How it speaks OpenAI's dialect.
const HABITS: Habits = Habits { samplers: true, thoughts: Thoughts::AsGiven, ..COMMON };

/// Any compatible server.
pub(super) const VENDOR: Vendor = Vendor {
    kind: "openai_compatible",
    title: "OpenAI-compatible server",
    base_url: None,
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
