//! The Gemini dialect: `POST /v1beta/models/{model}:generateContent` and what belongs to it, as Google's SDKs send and
//! read it (<https://ai.google.dev/api>).

mod answer;
mod config;
mod conversation;
mod count;
mod embeddings;
mod error;
mod models;
mod open_calls;
mod parts;
mod proto_json;
mod render;
mod request;
mod schema;
pub mod seal;
mod shown;
mod signature;
mod tools;

pub use answer::{
    GeminiCandidate, GeminiLogprobs, GeminiPromptFeedback, GeminiTokenLogprob, GeminiTopCandidates,
    GeminiUsage, GenerateContentAnswer,
};
pub use config::{GeminiConfig, GeminiThinking};
pub use count::{GeminiCountAnswer, GeminiCountRequest};
pub use embeddings::{
    BatchEmbedContentsAnswer, BatchEmbedContentsRequest, EmbedContentAnswer, EmbedContentRequest,
    GeminiVector,
};
pub use error::{GeminiError, GeminiErrorBody};
pub use models::{GeminiModel, GeminiModelList, GeminiModelQuery};
pub use parts::{
    GeminiBlob, GeminiContent, GeminiFile, GeminiFunctionCall, GeminiFunctionResponse, GeminiPart,
};
pub use render::Renderer;
pub use request::GenerateContentRequest;
pub(crate) use request::param;
pub use tools::{GeminiFunction, GeminiFunctionCalling, GeminiTool, GeminiToolConfig};

#[cfg(test)]
mod tests;
