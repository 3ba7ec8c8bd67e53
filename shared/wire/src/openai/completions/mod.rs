//! `POST /v1/completions` (<https://platform.openai.com/docs/api-reference/completions>), the API before chat.
//!
//! It continues a text. Most models are trained for conversations, so a prompt in text is sent as a user's message, and
//! the completion is the answer. Token ids, and a text with a `suffix`, go to a local model without a chat template.

mod completion;
mod prompt;
mod render;
mod request;

pub use completion::{Completion, CompletionChoice, CompletionLogprobs};
pub use prompt::CompletionPrompt;
pub use render::CompletionRenderer;
pub use request::CompletionRequest;
pub(crate) use request::param;

#[cfg(test)]
mod tests;
