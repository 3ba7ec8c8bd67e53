//! Anthropic (<https://platform.claude.com/docs/en/api/messages>).

use super::definition::{Auth, Vendor, WholeAnswers};
use crate::{dialect::Dialect, media::TEXT, rules::vendors::ANTHROPIC};

/// Anthropic.
pub(super) const VENDOR: Vendor = Vendor {
    kind: "anthropic",
    title: "Anthropic",
    base_url: Some("https://api.anthropic.com/v1"),
    dialect: Dialect::Anthropic,
    responses: false,
    rules: &ANTHROPIC,
    media: TEXT,
    auth: Auth::Header("x-api-key"),
    needs_key: true,
    whole_answers: WholeAnswers::HOSTED,
    headers: &[("anthropic-version", "2023-06-01")],
    // The default is 20 per page.
    models: Some("/models?limit=1000"),
    balance: &[],
};
