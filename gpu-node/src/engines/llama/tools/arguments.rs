//! A call's arguments: in one piece, or as they come.

use serde_json::Value;

use super::{
    json::{Cursor, JsonScanner, Scanned, Stop},
    tagged::TaggedArguments,
};

/// Arguments that come in pieces.
#[derive(Debug)]
pub(super) enum Arguments {
    Json(JsonScanner),
    Tagged(Box<TaggedArguments>),
}

/// Arguments as the head of a call has them.
pub(super) enum HeadArguments {
    /// They were in the head.
    Whole(String),
    /// They come now.
    Follow(Arguments),
}

impl Arguments {
    /// Reads what it can of `text`, and writes it to `json`; gives how much it read, and whether the
    /// arguments have ended well (or badly).
    pub(super) fn feed(&mut self, text: &str, json: &mut String) -> (usize, Option<bool>) {
        match self {
            Self::Tagged(arguments) => {
                let fed = arguments.feed(text, json);
                (fed.read, fed.end.then_some(true))
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

/// Arguments that are a JSON object, from here on.
pub(super) fn follow_object(cursor: &mut Cursor<'_>) -> Result<HeadArguments, Stop> {
    match cursor.space().peek()? {
        '{' => Ok(HeadArguments::Follow(Arguments::Json(JsonScanner::new()))),
        _ => Err(Stop::Other),
    }
}

/// Arguments that came in one piece: an object, the text of one, or nothing.
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

/// Reads the members behind the arguments, and the brace.
pub(super) fn rest_of_object(cursor: &mut Cursor<'_>) -> Result<(), Stop> {
    while cursor.maybe(",")? {
        cursor.space().string()?;
        cursor.space().literal(":")?;
        cursor.space().value()?;
    }
    cursor.space().literal("}")
}
