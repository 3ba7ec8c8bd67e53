//! Items of an answer as the provider wrote them, and their texts.

use serde_json::{Map, Value};

use super::event::Part;
use crate::dialect::json;

/// Returns the item of a frame.
pub(super) fn item_of(data: &str) -> Option<Value> {
    json::parse::<Map<String, Value>>(data).ok()??.remove("item")
}

/// Returns the items of a whole response, or of the frame that ends one.
pub(super) fn items_of(data: &str) -> Vec<Value> {
    let mut fields = json::parse::<Map<String, Value>>(data).ok().flatten().unwrap_or_default();
    let output = match fields.remove("response") {
        Some(Value::Object(mut response)) => response.remove("output"),
        _ => fields.remove("output"),
    };
    match output {
        Some(Value::Array(items)) => items.into_iter().filter(Value::is_object).collect(),
        item => item.into_iter().collect(),
    }
}

/// Joins the texts of parts, which are paragraphs.
pub(super) fn joined(parts: Vec<Part>) -> String {
    let texts: Vec<String> = parts.into_iter().filter_map(|part| part.text).collect();
    texts.join("\n\n")
}
