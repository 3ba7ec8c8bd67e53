//! OpenAI's dialect, as its SDKs send and read it.

pub mod batches;
pub mod chat;
pub mod completions;
pub mod embeddings;
mod error_frame;
pub mod files;
pub mod images;
pub mod responses;
pub mod uploads;
