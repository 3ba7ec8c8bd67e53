//! One page of a list of models, and the checks of its fields.

use serde_json::Value;

use crate::model_info::ListedModel;

/// Maximum length of a name, in bytes.
pub(super) const NAME_MAX_BYTES: usize = 200;

/// A page of a list.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Page {
    pub(super) models: Vec<ListedModel>,
    /// The query field of the next page.
    pub(super) next: Option<(&'static str, String)>,
}

/// Returns a positive number of tokens.
pub(super) fn tokens(value: &Value) -> Option<u32> {
    value.as_u64().and_then(|tokens| u32::try_from(tokens).ok()).filter(|tokens| *tokens > 0)
}

/// Returns a short text without control characters.
pub(super) fn text(value: &Value) -> Option<String> {
    let text = value.as_str()?.trim();
    let is_valid = !text.is_empty() && text.len() <= NAME_MAX_BYTES && !text.chars().any(char::is_control);
    is_valid.then(|| text.to_owned())
}
