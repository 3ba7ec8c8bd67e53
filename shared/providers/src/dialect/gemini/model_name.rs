//! Names of models: their folders and families.

use hearth_wire::ApiError;

use crate::{dialect::body::AnswerMode, url_path::model_segment};

/// Returns the path of a generation.
pub(in crate::dialect) fn path(model: &str, mode: AnswerMode) -> Result<String, ApiError> {
    let method = match mode {
        AnswerMode::Stream => "streamGenerateContent?alt=sse",
        AnswerMode::Whole => "generateContent",
    };
    path_to(model, method)
}

/// Returns the path of one of a model's methods.
///
/// # Errors
/// `invalid_request` for a name that can't be part of the path.
pub(crate) fn path_to(model: &str, method: &str) -> Result<String, ApiError> {
    let (folder, model) = split_folder(model);
    Ok(format!("/{}/{}:{method}", model_segment(folder)?, model_segment(model)?))
}

/// Returns a model's name with its folder.
pub(crate) fn full_name(model: &str) -> String {
    let (folder, model) = split_folder(model);
    format!("{folder}/{model}")
}

/// Splits a model's folder off. A model without one is one of Google's own.
fn split_folder(model: &str) -> (&str, &str) {
    model.split_once('/').unwrap_or(("models", model))
}

/// Returns the family of a model by its name, such as 2 for `models/gemini-2.5-pro`; `None` for other names and for names
/// without a version, which mean the newest model.
pub(crate) fn family(model: &str) -> Option<u32> {
    let name = model.rsplit('/').next()?.strip_prefix("gemini-")?;
    name.split(['.', '-']).next()?.parse().ok()
}
