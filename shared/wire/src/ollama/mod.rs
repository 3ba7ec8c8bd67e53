//! Ollama's dialect: `/api/*`, as its SDKs and the clients that speak nothing else send and read it
//! (<https://docs.ollama.com/api>, and `api/types.go` of Ollama's source).

mod answer;
mod chat;
mod clock;
mod conversation;
mod embed;
mod error;
mod format;
mod generate;
mod models;
mod name;
mod options;
mod picture;
mod render;

pub use answer::{OllamaChatAnswer, OllamaGenerateAnswer, OllamaMetrics};
pub use chat::OllamaChatRequest;
pub use conversation::{OllamaFunctionCall, OllamaMessage, OllamaToolCall};
pub use embed::{
    EmbedRenderer, OllamaEmbedAnswer, OllamaEmbedRequest, OllamaEmbeddingAnswer, OllamaEmbeddingRequest,
    OllamaInputs,
};
pub use error::OllamaError;
pub use generate::OllamaGenerateRequest;
pub use models::{
    OllamaDetails, OllamaListedModel, OllamaLoadedModel, OllamaLoadedModels, OllamaModelInfo,
    OllamaModelList, OllamaModelName, OllamaStatus, OllamaVersion,
};
pub use name::{LATEST_TAG, untagged};
pub(crate) use options::param;
pub use render::{OllamaAnswer, Renderer};

#[cfg(test)]
mod tests;
