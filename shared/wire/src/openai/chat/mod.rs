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
pub use render::Renderer;
pub use request::{ChatRequest, StreamOptions};
pub(crate) use request::{TEMPLATE_KWARGS, effort, param, template_kwargs};

#[cfg(test)]
mod tests;
