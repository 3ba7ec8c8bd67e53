//! Gemini's dialect: `POST /v1beta/models/{model}:generateContent` and its related routes, as Google's SDKs send and read
//! them (<https://ai.google.dev/api>).

mod answer;
mod answer_parts;
mod config;
mod content;
mod conversation;
mod count;
mod embeddings;
mod error;
mod model_turn;
mod models;
mod open_calls;
mod packed_reasoning;
mod part_conversion;
mod proto_json;
mod render;
mod request;
mod schema;
pub mod thought_signature;
mod tools;

pub use answer::{
    GeminiCandidate, GeminiLogprobs, GeminiPromptFeedback, GeminiTokenLogprob, GeminiTopCandidates,
    GeminiUsage, GenerateContentAnswer,
};
pub use config::{GeminiConfig, GeminiThinking};
pub use content::{
    GeminiBlob, GeminiContent, GeminiFile, GeminiFunctionCall, GeminiFunctionResponse, GeminiPart,
};
pub use count::{GeminiCountAnswer, GeminiCountRequest};
pub use embeddings::{
    BatchEmbedContentsAnswer, BatchEmbedContentsRequest, EmbedContentAnswer, EmbedContentRequest,
    GeminiVector,
};
pub use error::{GeminiError, GeminiErrorBody};
pub use models::{GeminiModel, GeminiModelList, GeminiModelQuery};
pub use render::GeminiRenderer;
pub use request::GenerateContentRequest;
pub(crate) use request::param;
pub use tools::{GeminiFunction, GeminiFunctionCalling, GeminiTool, GeminiToolConfig};

#[cfg(test)]
mod tests;
