//! Content blocks of types that only Anthropic's dialect has: calls and results of the tools that Anthropic runs, and new types.

use serde_json::{Map, Value};

use crate::dialect::json;

/// An open block.
#[derive(Debug)]
pub(super) struct ProviderBlock {
    /// The block's first frame; null if it isn't an object.
    block: Value,
    /// Its `input` as JSON, of the deltas so far.
    input: String,
}

impl ProviderBlock {
    pub(super) fn new(block: Value) -> Self {
        Self { block, input: String::new() }
    }

    /// Adds a delta: JSON of the block's `input`, or fields. A text is appended to the block's field of the same name, and
    /// another value replaces it.
    pub(super) fn add(&mut self, delta: Value) {
        let (Value::Object(delta), Value::Object(block)) = (delta, &mut self.block) else { return };
        for (name, value) in delta {
            match (name.as_str(), value, block.get_mut(&name)) {
                ("type", ..) => {}
                ("partial_json", Value::String(json), _) => self.input.push_str(&json),
                (_, Value::String(added), Some(Value::String(text))) => text.push_str(&added),
                (_, value, _) => {
                    block.insert(name, value);
                }
            }
        }
    }

    /// Returns the whole block; `None` if it has no type.
    pub(super) fn into_value(mut self) -> Option<Value> {
        if let (Ok(input), Value::Object(block)) = (serde_json::from_str(&self.input), &mut self.block) {
            block.insert("input".to_owned(), input);
        }
        self.block
            .get("type")
            .and_then(Value::as_str)
            .is_some_and(|kind| !kind.is_empty())
            .then_some(self.block)
    }
}

/// Returns the block of a frame that begins one.
pub(super) fn block_of(data: &str) -> Option<Value> {
    field_of(data, "content_block")
}

/// Returns the delta of a frame.
pub(super) fn delta_of(data: &str) -> Option<Value> {
    field_of(data, "delta")
}

/// Returns the blocks of a whole message.
pub(super) fn blocks_of(data: &str) -> Vec<Value> {
    match field_of(data, "content") {
        Some(Value::Array(blocks)) => blocks.into_iter().filter(Value::is_object).collect(),
        block => block.into_iter().collect(),
    }
}

fn field_of(data: &str, name: &str) -> Option<Value> {
    json::parse::<Map<String, Value>>(data).ok()??.remove(name)
}
