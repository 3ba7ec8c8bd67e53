//! Parts of requests' bodies that several dialects share.

use hearth_domain::{Extra, Message, TextTask, Tool};
use serde_json::{Map, Value};

use crate::json_tree::{Json, Object};

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
    pub(super) fn request_fields(self, extra: &Extra) -> Object<'_> {
        if self == Self::All { Object::from(&extra.fields) } else { Object::default() }
    }

    /// Returns whether any of the fields of a part are passed on.
    pub(super) fn passes_any(self, fields: Option<&Map<String, Value>>) -> bool {
        fields.is_some_and(|fields| match self {
            Self::All => !fields.is_empty(),
            Self::CacheMarks => fields.contains_key(CACHE_CONTROL),
            Self::Nothing => false,
        })
    }

    /// Returns whether any of the fields of a message's parts are passed on.
    pub(super) fn passes_part_fields(self, message: &Message) -> bool {
        !message.extra.is_empty()
            && message.parts_with_extra().into_iter().any(|(_, extra)| self.passes_any(extra))
    }

    /// Adds the fields that are passed on to an object. Fields that the object has stay as they are.
    pub(super) fn add<'a>(self, fields: Option<&'a Map<String, Value>>, object: &mut Object<'a>) {
        for (name, value) in fields.into_iter().flatten() {
            if self == Self::All || self == Self::CacheMarks && name == CACHE_CONTROL {
                object.set_missing(name, value);
            }
        }
    }

    /// Adds the fields that are passed on to a part, if it is an object.
    pub(super) fn add_to_part<'a>(self, fields: Option<&'a Map<String, Value>>, part: &mut Json<'a>) {
        if self.passes_any(fields)
            && let Some(object) = part.object_mut()
        {
            self.add(fields, object);
        }
    }
}

/// Converts a task's tools, each by `convert`, with the unknown fields that are passed on.
pub(super) fn tools(task: &TextTask, pass: PassThrough, convert: fn(&Tool) -> Object<'_>) -> Json<'_> {
    let tools = task.tools.iter().map(|tool| {
        let mut object = convert(tool);
        pass.add(task.tool_extra.get(&tool.name), &mut object);
        object
    });
    tools.collect()
}

/// Rounds a number to six decimals: 0.7, not 0.699999988079071.
pub(super) fn round(value: f32) -> f64 {
    (f64::from(value) * 1e6).round() / 1e6
}
