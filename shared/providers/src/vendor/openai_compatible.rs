//! Any server that speaks OpenAI's chat completions: vLLM, llama-server, LM Studio and others, at its own
//! address.

use super::{Auth, Vendor};
use crate::dialect::{
    Dialect,
    openai_chat::{COMMON, Habits},
};

/// How it speaks OpenAI's dialect.
const HABITS: Habits = Habits { samplers: true, ..COMMON };

/// Any compatible server.
pub(super) const VENDOR: Vendor = Vendor {
    kind: "openai_compatible",
    title: "OpenAI-compatible server",
    base_url: None,
    dialect: Dialect::OpenAiChat(&HABITS),
    auth: Auth::Bearer,
    needs_key: false,
    headers: &[],
    models: Some("/models"),
};
