//! Values for the chat template of a local model.

use serde_json::{Map, Value};

use crate::ApiError;

/// The field's name, as in vLLM and llama-server. The field stays among a request's unknown fields, so that a provider
/// of the same dialect gets it too.
pub(crate) const TEMPLATE_KWARGS: &str = "chat_template_kwargs";

/// Returns the values for the chat template among a request's unknown fields.
///
/// # Errors
/// `invalid_request`, naming the field, for anything but an object.
pub(crate) fn template_kwargs(extra: &Map<String, Value>) -> Result<Map<String, Value>, ApiError> {
    match extra.get(TEMPLATE_KWARGS) {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(kwargs)) => Ok(kwargs.clone()),
        Some(_) => {
            let message =
                format!("{TEMPLATE_KWARGS} must be an object, such as {{\"enable_thinking\": false}}");
            Err(ApiError::invalid(TEMPLATE_KWARGS, message))
        }
    }
}
