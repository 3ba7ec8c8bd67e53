//! Validation of the values for a model's chat template.

use serde_json::{Map, Value};

use super::{Field, InvalidTask, invalid, is_deeper_than};

/// Maximum bytes of the values as JSON.
pub const MAX_TEMPLATE_KWARGS_BYTES: usize = 16 << 10;
/// Maximum nesting depth of the values.
pub const MAX_TEMPLATE_KWARGS_DEPTH: usize = 8;

/// Names that a request must not set, since the template gets them from elsewhere, each with the reason.
const RESERVED: [(&str, &str); 10] = [
    ("messages", "it has a field of its own"),
    ("tools", "it has a field of its own"),
    ("documents", "send them in a message"),
    ("add_generation_prompt", "it is always on"),
    ("continue_final_message", "it is always off"),
    ("bos_token", "it is the model's"),
    ("eos_token", "it is the model's"),
    ("raise_exception", "it is a function of templates"),
    ("strftime_now", "it is a function of templates"),
    ("namespace", "it is a function of templates"),
];

pub(super) fn check_template_kwargs(kwargs: &Map<String, Value>) -> Result<(), InvalidTask> {
    let at = Field::TemplateKwargs;
    if let Some((name, why)) = RESERVED.iter().find(|(name, _)| kwargs.contains_key(*name)) {
        return Err(invalid(at, format!("must not have {name:?}: {why}")));
    }
    if kwargs.values().any(|value| is_deeper_than(MAX_TEMPLATE_KWARGS_DEPTH - 1, value)) {
        return Err(invalid(at, format!("must be nested at most {MAX_TEMPLATE_KWARGS_DEPTH} levels deep")));
    }
    let bytes = serde_json::to_string(kwargs).map_or(usize::MAX, |json| json.len());
    if bytes > MAX_TEMPLATE_KWARGS_BYTES {
        return Err(invalid(at, format!("must have at most {} KiB", MAX_TEMPLATE_KWARGS_BYTES >> 10)));
    }
    Ok(())
}
