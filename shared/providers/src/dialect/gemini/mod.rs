//! Google's `generateContent` (<https://ai.google.dev/api/generate-content>), as the Gemini API has it in
//! `v1beta`.

mod contents;
pub(super) mod request;
pub(super) mod seal;
pub(super) mod stream;

#[cfg(test)]
mod tests;

use super::escaped;

/// The path of a streamed answer. A model without a folder is one of Google's own.
pub(super) fn path(model: &str) -> String {
    let (folder, model) = model.split_once('/').unwrap_or(("models", model));
    format!("/{}/{}:streamGenerateContent?alt=sse", escaped(folder), escaped(model))
}

/// The family of a model by its name, such as 2 for `models/gemini-2.5-pro`; none for other names and those
/// that follow the newest model.
fn family(model: &str) -> Option<u32> {
    let name = model.rsplit('/').next()?.strip_prefix("gemini-")?;
    name.split(['.', '-']).next()?.parse().ok()
}
