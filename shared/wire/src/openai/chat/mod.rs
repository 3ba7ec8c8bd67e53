//! `POST /v1/chat/completions`.

mod completion;
mod message;
mod render;
mod request;

pub use completion::{
    ChatAnswer, ChatChoice, ChatChunk, ChatCompletion, ChatUsage, ChunkChoice, ChunkDelta,
    CompletionTokensDetails, PromptTokensDetails,
};
pub use message::{ChatMessage, ChatRole};
pub use render::ChatRenderer;
pub(crate) use request::param;
pub use request::{ChatRequest, StreamOptions};

#[cfg(test)]
mod tests;
