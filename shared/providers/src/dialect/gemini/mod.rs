//! Google's `generateContent` (<https://ai.google.dev/api/generate-content>), as the Gemini API has it in
//! `v1beta`.

mod contents;
mod model_name;
mod model_turn;
pub(super) mod request;
mod response;
pub(super) mod stream;
mod unknown_fields;

#[cfg(test)]
mod tests;

pub(super) use hearth_wire::gemini::thought_signature;

pub(super) use model_name::path;
pub(crate) use model_name::{family, full_name, path_to};
