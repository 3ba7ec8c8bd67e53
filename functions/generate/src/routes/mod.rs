//! One file per route.

pub(crate) mod artifact;
pub(crate) mod cache_delete;
pub(crate) mod cache_stats;
pub(crate) mod chat_completions;
pub(crate) mod completions;
pub(crate) mod embeddings;
pub(crate) mod gemini;
pub(crate) mod gemini_count_tokens;
pub(crate) mod gemini_embed_content;
pub(crate) mod gemini_generate_content;
pub(crate) mod gemini_models;
pub(crate) mod generate;
pub(crate) mod image_edits;
pub(crate) mod images;
pub(crate) mod messages;
pub(crate) mod messages_count_tokens;
pub(crate) mod ollama;
pub(crate) mod request_cancel;
pub(crate) mod request_events;
pub(crate) mod request_get;
pub(crate) mod response;
pub(crate) mod responses;
pub(crate) mod route;
