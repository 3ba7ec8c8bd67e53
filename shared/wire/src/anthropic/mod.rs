//! The Anthropic dialect: `POST /v1/messages` and what belongs to it, as Anthropic's SDKs send and read it
//! (<https://platform.claude.com/docs/en/api/messages>).

mod blocks;
mod count;
mod error;
mod message;
mod models;
mod options;
mod render;
mod request;
mod shown;
mod thoughts;
mod tools;

pub use blocks::{
    MessagesBlock, MessagesBlockSource, MessagesContent, MessagesRole, MessagesSource, MessagesTurn,
};
pub use count::{CountTokensAnswer, CountTokensRequest};
pub use error::{MessagesError, MessagesErrorBody};
pub use message::{MessagesAnswer, MessagesAnswerBlock, MessagesCaller, MessagesOutputTokens, MessagesUsage};
pub use models::{ModelInfo, ModelPage, ModelPageQuery};
pub use options::{MessagesFormat, MessagesOutputConfig, MessagesThinking};
pub use render::Renderer;
pub use request::MessagesRequest;
pub(crate) use request::param;
pub use tools::{MessagesTool, MessagesToolChoice};

#[cfg(test)]
mod tests;
