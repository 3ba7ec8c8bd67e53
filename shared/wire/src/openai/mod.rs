//! The OpenAI dialect: what its SDKs send and read.

pub mod chat;
pub mod content;
pub mod embeddings;
pub mod format;
pub mod logprobs;
pub mod tools;
