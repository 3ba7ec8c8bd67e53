//! OpenAI's chat completions (<https://platform.openai.com/docs/api-reference/chat>), which most vendors and servers
//! have, with [`Quirks`].

pub(in crate::dialect) mod chunk;
mod messages;
mod quirks;
pub(super) mod request;
pub(super) mod stream;

pub(super) use messages::FILE_NAME;
pub use quirks::{COMMON, Quirks, SentThoughts};

#[cfg(test)]
mod tests;
