//! Google's `generateContent` (<https://ai.google.dev/api/generate-content>), as the Gemini API has it in
//! `v1beta`.

mod contents;
mod passed_on;
pub(super) mod request;
mod response;
pub(super) mod stream;

#[cfg(test)]
mod tests;

use hearth_wire::ApiError;
pub(super) use hearth_wire::gemini::seal;

use super::AnswerMode;
use crate::url_path::model_segment;

/// The path of a generation.
pub(super) fn path(model: &str, mode: AnswerMode) -> Result<String, ApiError> {
    path_to(
        model,
        match mode {
            AnswerMode::Stream => "streamGenerateContent?alt=sse",
            AnswerMode::Whole => "generateContent",
        },
    )
}

/// The path of one of a model's methods.
///
/// # Errors
/// `invalid_request` for a name that can't be a part of it.
pub(crate) fn path_to(model: &str, method: &str) -> Result<String, ApiError> {
    let (folder, model) = placed(model);
    Ok(format!("/{}/{}:{method}", model_segment(folder)?, model_segment(model)?))
}

/// A model's name with its folder.
pub(crate) fn full_name(model: &str) -> String {
    let (folder, model) = placed(model);
    format!("{folder}/{model}")
}

/// A model without a folder is one of Google's own.
fn placed(model: &str) -> (&str, &str) {
    model.split_once('/').unwrap_or(("models", model))
}

/// The family of a model by its name, such as 2 for `models/gemini-2.5-pro`; none for other names and those
/// that follow the newest model.
pub(crate) fn family(model: &str) -> Option<u32> {
    let name = model.rsplit('/').next()?.strip_prefix("gemini-")?;
    name.split(['.', '-']).next()?.parse().ok()
}
