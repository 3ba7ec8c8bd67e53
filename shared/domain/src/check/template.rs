//! Values that a request gives to a model's chat template.

use serde_json::{Map, Value};

use super::{Field, InvalidTask, invalid, is_deeper_than};

/// How many bytes they may have, written as JSON.
pub const MAX_TEMPLATE_KWARGS_BYTES: usize = 16 << 10;
/// How deep objects and lists in them may be nested.
pub const MAX_TEMPLATE_KWARGS_DEPTH: usize = 8;

/// What a prompt is made of has fields of its own.
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
