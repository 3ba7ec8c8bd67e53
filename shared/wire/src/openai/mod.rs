//! The OpenAI dialect: what its SDKs send and read.

pub mod chat;
pub mod completions;
pub mod content;
pub mod embeddings;
pub mod format;
pub mod images;
pub mod logprobs;
pub mod reasoning;
pub mod responses;
pub mod tools;
