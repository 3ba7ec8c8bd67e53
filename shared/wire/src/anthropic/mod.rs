//! Anthropic's dialect: `POST /v1/messages` and its related routes, as Anthropic's SDKs send and read them
//! (<https://platform.claude.com/docs/en/api/messages>).

mod answer;
mod answer_blocks;
mod batches;
mod block_parts;
mod blocks;
mod count;
mod error;
mod models;
mod options;
mod render;
mod request;
mod thinking;
mod tools;
mod turns;

pub use answer::{
    ExtendedAnswerBlock, MessagesAnswer, MessagesAnswerBlock, MessagesCaller, MessagesOutputTokens,
    MessagesUsage, caller_field,
};
pub use batches::{
    MessageBatch, MessageBatchCounts, MessageBatchDeleted, MessageBatchItem, MessageBatchList,
    MessageBatchQuery, MessageBatchRequest, MessageBatchResult, MessageBatchResultLine,
};
pub use blocks::{
    MessagesBlock, MessagesBlockSource, MessagesContent, MessagesRole, MessagesSource, MessagesTurn,
};
pub use count::{CountTokensAnswer, CountTokensRequest};
pub use error::{MessagesError, MessagesErrorBody};
pub use models::{ModelBodyOrInfo, ModelInfo, ModelListOrPage, ModelPage, ModelPageQuery};
pub use options::{MessagesFormat, MessagesOutputConfig, MessagesThinking};
pub use render::MessagesRenderer;
pub use request::MessagesRequest;
pub(crate) use request::param;
pub use tools::{MessagesTool, MessagesToolChoice};

#[cfg(test)]
mod tests;
