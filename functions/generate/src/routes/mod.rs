//! Handlers: a file for each resource, and for each large dialect route.

pub(crate) mod artifact;
pub(crate) mod cache;
pub(crate) mod chat_completions;
pub(crate) mod completions;
pub(crate) mod embeddings;
pub(crate) mod gemini;
pub(crate) mod gemini_count_tokens;
pub(crate) mod gemini_embed_content;
pub(crate) mod gemini_generate_content;
pub(crate) mod gemini_models;
pub(crate) mod generate;
pub(crate) mod images;
pub(crate) mod messages;
pub(crate) mod ollama;
pub(crate) mod requests;
pub(crate) mod responses;
pub(crate) mod route;
