//! OpenAI's responses (<https://platform.openai.com/docs/api-reference/responses>).
//!
//! Nothing is kept at OpenAI: each request has the whole conversation, with the model's thoughts in the
//! encrypted form that it takes back.

mod event;
pub(super) mod request;
pub(super) mod seal;
pub(super) mod stream;

#[cfg(test)]
mod tests;
