//! What a model's output is held to: JSON that fits a schema, or calls of tools.
//!
//! llguidance keeps the output to a grammar, token by token. A client's schema becomes part of one: of an answer's
//! schema [`hearth_schema`] makes what a grammar can express, and of a tool's the depth and size are bounded before
//! anything walks it.

mod cache;
mod compile;
mod constraint;
mod structure;

use serde_json::{Value, json};

pub(super) use cache::{Grammars, param};
pub(super) use constraint::{Constraint, Next, SharedMatcher};
pub(super) use structure::Structure;

/// How deep a schema may be nested; the root is the first level.
const MOST_LEVELS: usize = 64;
/// How long a schema's JSON text may be, in bytes.
const MOST_BYTES: usize = 128 * 1024;
/// How many members one of its objects may have: the time that they take grows with their square.
const MOST_MEMBERS: usize = 500;

/// Bounds the schema of a tool's arguments.
///
/// # Errors
/// What is too much, and what to do about it.
pub(super) fn check_schema(schema: &Value) -> Result<(), String> {
    let mut bytes = 0;
    let mut open = vec![(schema, 1)];
    while let Some((value, level)) = open.pop() {
        if level > MOST_LEVELS && (value.is_object() || value.is_array()) {
            return Err(format!(
                "a JSON Schema may be nested {MOST_LEVELS} levels deep, and this one is deeper; \
                 move its inner parts to $defs"
            ));
        }
        bytes += match value {
            Value::Array(items) => {
                open.extend(items.iter().map(|item| (item, level + 1)));
                items.len() + 2
            }
            Value::Object(members) if members.len() > MOST_MEMBERS => {
                return Err(format!(
                    "an object in a JSON Schema may have {MOST_MEMBERS} members, and this one has \
                     more; group them, or take a list of names and values"
                ));
            }
            Value::Object(members) => {
                open.extend(members.values().map(|member| (member, level + 1)));
                members.keys().map(|key| key.len() + 4).sum::<usize>() + 2
            }
            Value::String(text) => text.len() + 2,
            Value::Null | Value::Bool(_) | Value::Number(_) => 4,
        };
        if bytes > MOST_BYTES {
            return Err(format!(
                "a JSON Schema may have {} KiB, and this one has more; shorten its descriptions, or \
                 ask for less at once",
                MOST_BYTES / 1024
            ));
        }
    }
    Ok(())
}

/// `schema`, for JSON on one line: at most a space after commas and colons, since white space without
/// a bound is where a model that doesn't know how to go on gets lost. What `strict` schemas say is
/// kept to, or they are refused; of others, what can't be kept to is left out.
pub(super) fn compact(mut schema: Value, strict: bool) -> Value {
    // `true` takes anything, as `{}` does.
    if schema == Value::Bool(true) {
        schema = json!({});
    }
    if let Value::Object(members) = &mut schema {
        let options = json!({
            "whitespace_flexible": false,
            "item_separator": ", ?",
            "key_separator": ": ?",
            "lenient": !strict,
        });
        members.insert("x-guidance".to_owned(), options);
    }
    schema
}

#[cfg(test)]
pub(super) mod tests;
