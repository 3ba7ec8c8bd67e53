//! Mistral (<https://docs.mistral.ai/api>): another name for the seed, and `any` for a call that must be made.

use super::{Auth, Vendor, WholeAnswers};
use crate::dialect::{
    Dialect,
    openai_chat::{COMMON, Habits},
};
use crate::media::{Embeddings, Media, TEXT};

/// How it speaks OpenAI's dialect.
const HABITS: Habits = Habits {
    seed: Some("random_seed"),
    stream_options: false,
    reasoning_effort: false,
    must_call: "any",
    prefix: true,
    ..COMMON
};

/// Mistral.
pub(super) const VENDOR: Vendor = Vendor {
    kind: "mistral",
    title: "Mistral",
    base_url: Some("https://api.mistral.ai/v1"),
    dialect: Dialect::OpenAiChat(&HABITS),
    media: Media { embeddings: Some(Embeddings::OpenAi("output_dimension")), ..TEXT },
    auth: Auth::Bearer,
    needs_key: true,
    whole_answers: WholeAnswers::HOSTED,
    headers: &[],
    models: Some("/models"),
};
