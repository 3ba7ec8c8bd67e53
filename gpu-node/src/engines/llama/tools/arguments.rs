//! A call's arguments, in one piece or streamed.

use serde_json::Value;

use super::{
    cursor::{Cursor, CursorError},
    json_scanner::{JsonScanner, Scanned},
    tagged_arguments::TaggedArguments,
};

/// A reader of arguments that come in pieces.
#[derive(Debug)]
pub(super) enum Arguments {
    Json(JsonScanner),
    Tagged(Box<TaggedArguments>),
}

/// The arguments of a call whose head was read.
pub(super) enum HeadArguments {
    /// The JSON text of the arguments, which the head contained.
    Whole(String),
    /// The arguments follow.
    Follow(Arguments),
}

impl Arguments {
    /// Reads a beginning of `text` and appends it to `json`. Returns the number of bytes that were read, and at the
    /// end of the arguments whether they are valid.
    pub(super) fn consume(&mut self, text: &str, json: &mut String) -> (usize, Option<bool>) {
        match self {
            Self::Tagged(arguments) => {
                let consumed = arguments.consume(text, json);
                (consumed.bytes, consumed.ended.then_some(true))
            }
            Self::Json(scanner) => {
                let end = text.bytes().zip(0..).find_map(|(byte, at)| match scanner.push(byte) {
                    Scanned::More => None,
                    Scanned::End => Some((at + 1, Some(true))),
                    Scanned::Invalid => Some((at, Some(false))),
                });
                let (read, end) = end.unwrap_or((text.len(), None));
                json.push_str(&text[..read]);
                (read, end)
            }
        }
    }
}

/// Expects a JSON object of arguments to follow.
pub(super) fn follow_object(cursor: &mut Cursor<'_>) -> Result<HeadArguments, CursorError> {
    match cursor.space().peek()? {
        '{' => Ok(HeadArguments::Follow(Arguments::Json(JsonScanner::new()))),
        _ => Err(CursorError::Mismatch),
    }
}

/// Converts complete arguments to a JSON object: an object, a string with the text of one, or null.
pub(super) fn whole_arguments(json: &str) -> Option<String> {
    match json.chars().next()? {
        '{' => Some(json.to_owned()),
        'n' => Some("{}".to_owned()),
        '"' => {
            let text: String = serde_json::from_str(json).ok()?;
            let object = serde_json::from_str::<Value>(&text).ok()?.is_object();
            object.then_some(text)
        }
        _ => None,
    }
}

/// Reads the members after the arguments, and the closing brace.
pub(super) fn rest_of_object(cursor: &mut Cursor<'_>) -> Result<(), CursorError> {
    while cursor.maybe(",")? {
        cursor.space().string()?;
        cursor.space().literal(":")?;
        cursor.space().value()?;
    }
    cursor.space().literal("}")
}
