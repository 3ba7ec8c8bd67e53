//! OpenAI's models in Azure, at the customer's own address and under the names of its deployments, by the
//! API of version 1 (<https://learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle>). `base_url` is
//! `https://NAME.openai.azure.com/openai/v1`.

use super::{Auth, Vendor, WholeAnswers};
use crate::dialect::{
    Dialect,
    openai_chat::{COMMON, Habits},
};
use crate::media::{Embeddings, Images, Media, TEXT, openai_images};

/// How it speaks OpenAI's dialect.
const HABITS: Habits = Habits { max_tokens: "max_completion_tokens", ..COMMON };

/// Azure.
pub(super) const VENDOR: Vendor = Vendor {
    kind: "azure",
    title: "Azure OpenAI",
    base_url: None,
    dialect: Dialect::OpenAiChat(&HABITS),
    media: Media {
        embeddings: Some(Embeddings::OpenAi("dimensions")),
        images: Some(Images::OpenAi(&openai_images::OPENAI)),
        ..TEXT
    },
    auth: Auth::Header("api-key"),
    needs_key: true,
    whole_answers: WholeAnswers::HOSTED,
    headers: &[],
    // Its list has the models that could be deployed, and not the deployments.
    models: None,
};
