//! OpenAI's responses (<https://platform.openai.com/docs/api-reference/responses>).
//!
//! Nothing is stored at OpenAI: each request has the whole conversation, with the model's thoughts in encrypted form.

pub(super) mod encrypted_reasoning;
mod event;
pub(super) mod request;
pub(super) mod stream;
mod whole_items;

#[cfg(test)]
mod tests;
