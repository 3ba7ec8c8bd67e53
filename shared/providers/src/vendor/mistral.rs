//! Mistral (<https://docs.mistral.ai/api>): another name of the seed, and `any` for a forced call.

use super::definition::{Auth, Vendor, WholeAnswers};
use crate::{
    dialect::{
        Dialect,
        openai_chat::{COMMON, Quirks},
    },
    media::{Embeddings, Media, TEXT},
    rules::vendors::MISTRAL,
};

/// Differences in OpenAI's dialect.
const QUIRKS: Quirks = Quirks {
    seed: Some("random_seed"),
    stream_options: false,
    reasoning_effort: false,
    forced_call: "any",
    prefix: true,
    ..COMMON
};

/// Mistral.
pub(super) const VENDOR: Vendor = Vendor {
    kind: "mistral",
    title: "Mistral",
    base_url: Some("https://api.mistral.ai/v1"),
    dialect: Dialect::OpenAiChat(&QUIRKS),
    responses: false,
    rules: &MISTRAL,
    media: Media { embeddings: Some(Embeddings::OpenAi("output_dimension")), ..TEXT },
    auth: Auth::Bearer,
    needs_key: true,
    whole_answers: WholeAnswers::HOSTED,
    headers: &[],
    models: Some("/models"),
    balance: &[],
};
