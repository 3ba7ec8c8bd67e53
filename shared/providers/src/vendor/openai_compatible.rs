//! Any server with OpenAI's chat completions: vLLM, llama-server, LM Studio and others, at its own
//! address.

use super::definition::{Auth, Vendor, WholeAnswers};
use crate::{
    dialect::{
        Dialect,
        openai_chat::{COMMON, Quirks, SentThoughts},
    },
    media::{Embeddings, Images, Media, TEXT, openai_images},
    rules::vendors::UNRESTRICTED,
};

/// Differences in OpenAI's API for images: servers of diffusion models accept more fields.
const IMAGES: openai_images::Quirks = openai_images::Quirks { samplers: true, ..openai_images::OPENAI };

/// Differences in OpenAI's dialect.
const QUIRKS: Quirks = Quirks { samplers: true, sent_thoughts: SentThoughts::All, ..COMMON };

/// Any compatible server.
pub(crate) const VENDOR: Vendor = Vendor {
    kind: "openai_compatible",
    title: "OpenAI-compatible server",
    base_url: None,
    dialect: Dialect::OpenAiChat(&QUIRKS),
    responses: true,
    rules: &UNRESTRICTED,
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
