//! Ollama's dialect: `/api/*`, as its SDKs and clients send and read it
//! (<https://docs.ollama.com/api>, and `api/types.go` of Ollama's source).

mod answer;
mod chat;
mod conversation;
mod embed;
mod error;
mod format;
mod generate;
mod image;
mod models;
mod name;
mod options;
mod render;
mod run_timer;

pub use answer::{OllamaChatAnswer, OllamaGenerateAnswer, OllamaMetrics};
pub use chat::OllamaChatRequest;
pub use conversation::{OllamaFunctionCall, OllamaMessage, OllamaToolCall};
pub use embed::{
    OllamaEmbedAnswer, OllamaEmbedRenderer, OllamaEmbedRequest, OllamaEmbeddingAnswer,
    OllamaEmbeddingRequest, OllamaInputs,
};
pub use error::OllamaError;
pub use generate::OllamaGenerateRequest;
pub use models::{
    OllamaDetails, OllamaListedModel, OllamaLoadedModel, OllamaLoadedModels, OllamaModelInfo,
    OllamaModelList, OllamaModelName, OllamaStatus, OllamaVersion,
};
pub use name::{LATEST_TAG, untagged};
pub(crate) use options::param;
pub use render::{OllamaAnswer, OllamaRenderer};

#[cfg(test)]
mod tests;
