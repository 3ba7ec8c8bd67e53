//! OpenAI's models in Azure, at the customer's own address and under the names of its deployments, by the
//! API of version 1 (<https://learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle>). `base_url` is
//! `https://NAME.openai.azure.com/openai/v1`.

use super::definition::{Auth, Vendor, WholeAnswers};
use crate::{
    dialect::{
        Dialect,
        openai_chat::{COMMON, Quirks},
    },
    media::{Embeddings, Images, Media, TEXT, openai_images},
    rules::vendors::OPENAI,
};

/// Differences in OpenAI's dialect.
const QUIRKS: Quirks = Quirks { max_tokens: "max_completion_tokens", ..COMMON };

/// Azure.
pub(super) const VENDOR: Vendor = Vendor {
    kind: "azure",
    title: "Azure OpenAI",
    base_url: None,
    dialect: Dialect::OpenAiChat(&QUIRKS),
    responses: true,
    rules: &OPENAI,
    media: Media {
        embeddings: Some(Embeddings::OpenAi("dimensions")),
        images: Some(Images::OpenAi(&openai_images::OPENAI)),
        ..TEXT
    },
    auth: Auth::Header("api-key"),
    needs_key: true,
    whole_answers: WholeAnswers::HOSTED,
    headers: &[],
    // Azure lists the models that can be deployed, not the deployments.
    models: None,
    balance: &[],
};
