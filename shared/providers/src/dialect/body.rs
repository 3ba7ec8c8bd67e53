//! Parts of requests' bodies that several dialects share.

use hearth_domain::{Extra, TextTask, Tool};
use serde_json::{Map, Value};

/// The mark for a prompt cache, in Anthropic's dialect and OpenRouter's.
const CACHE_CONTROL: &str = "cache_control";

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerMode {
    /// Piece by piece, as it is generated.
    Stream,
    /// One JSON document, once it is complete.
    Whole,
}

impl AnswerMode {
    /// Returns whether the answer is streamed.
    #[must_use]
    pub fn is_stream(self) -> bool {
        self == Self::Stream
    }
}

/// Selection of a client's unknown fields that are passed on to a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PassThrough {
    /// All: the provider has the client's dialect.
    All,
    /// Marks for a prompt cache.
    CacheMarks,
    Nothing,
}

impl PassThrough {
    /// Returns the unknown fields of the request itself that are passed on.
    pub(super) fn request_fields(self, extra: &Extra) -> Map<String, Value> {
        if self == Self::All { extra.fields.clone() } else { Map::new() }
    }

    /// Returns whether any of the fields of a part are passed on.
    pub(super) fn passes_any(self, fields: Option<&Map<String, Value>>) -> bool {
        fields.is_some_and(|fields| match self {
            Self::All => !fields.is_empty(),
            Self::CacheMarks => fields.contains_key(CACHE_CONTROL),
            Self::Nothing => false,
        })
    }

    /// Adds the fields that are passed on to an object. Fields that the object has stay as they are.
    pub(super) fn add(self, fields: Option<&Map<String, Value>>, object: &mut Value) {
        let (Some(fields), Some(object)) = (fields, object.as_object_mut()) else { return };
        for (name, value) in fields {
            if self == Self::All || self == Self::CacheMarks && name == CACHE_CONTROL {
                object.entry(name.clone()).or_insert_with(|| value.clone());
            }
        }
    }
}

/// Writes a task's tools, each by `write`, with the unknown fields that are passed on.
pub(super) fn tools(task: &TextTask, pass: PassThrough, write: fn(&Tool) -> Value) -> Vec<Value> {
    let tools = task.tools.iter().map(|tool| {
        let mut object = write(tool);
        pass.add(task.tool_extra.get(&tool.name), &mut object);
        object
    });
    tools.collect()
}

/// Rounds a number to six decimals: 0.7, not 0.699999988079071.
pub(super) fn round(value: f32) -> f64 {
    (f64::from(value) * 1e6).round() / 1e6
}
