//! xAI (<https://docs.x.ai/docs/api-reference>).

use super::{Auth, Vendor};
use crate::dialect::{Dialect, openai_chat::COMMON};

/// xAI.
pub(super) const VENDOR: Vendor = Vendor {
    kind: "xai",
    title: "xAI",
    base_url: Some("https://api.x.ai/v1"),
    dialect: Dialect::OpenAiChat(&COMMON),
    auth: Auth::Bearer,
    needs_key: true,
    headers: &[],
    models: Some("/models"),
};
