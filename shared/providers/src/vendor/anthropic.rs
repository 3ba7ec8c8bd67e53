//! Anthropic (<https://platform.claude.com/docs/en/api/messages>).

use super::{Auth, Vendor, WholeAnswers};
use crate::dialect::Dialect;
use crate::media::TEXT;

/// Anthropic.
pub(super) const VENDOR: Vendor = Vendor {
    kind: "anthropic",
    title: "Anthropic",
    base_url: Some("https://api.anthropic.com/v1"),
    dialect: Dialect::Anthropic,
    media: TEXT,
    auth: Auth::Header("x-api-key"),
    needs_key: true,
    whole_answers: WholeAnswers::HOSTED,
    headers: &[("anthropic-version", "2023-06-01")],
    // A page has 20 of them otherwise.
    models: Some("/models?limit=1000"),
};
