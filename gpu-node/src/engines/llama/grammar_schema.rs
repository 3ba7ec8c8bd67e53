//! JSON Schemas for llguidance: limits of size, and llguidance's options.

use serde_json::{Value, json};

/// Maximum nesting depth of a schema; the root is the first level.
pub(super) const SCHEMA_MAX_DEPTH: usize = 64;
/// Maximum size of a schema's JSON text, in bytes.
pub(super) const SCHEMA_MAX_BYTES: usize = 128 * 1024;
/// Maximum number of members of one object in a schema: the compile time grows with their square.
pub(super) const OBJECT_MAX_MEMBERS: usize = 500;

/// Checks depth and size of the schema of a tool's arguments.
///
/// # Errors
/// If the schema exceeds a limit; the message says which, and how to avoid it.
pub(super) fn check_schema_size(schema: &Value) -> Result<(), String> {
    let mut bytes = 0;
    let mut open = vec![(schema, 1)];
    while let Some((value, level)) = open.pop() {
        if level > SCHEMA_MAX_DEPTH && (value.is_object() || value.is_array()) {
            return Err(format!(
                "a JSON Schema may be nested {SCHEMA_MAX_DEPTH} levels deep, and this one is deeper; \
                 move its inner parts to $defs"
            ));
        }
        bytes += match value {
            Value::Array(items) => {
                open.extend(items.iter().map(|item| (item, level + 1)));
                items.len() + 2
            }
            Value::Object(members) if members.len() > OBJECT_MAX_MEMBERS => {
                return Err(format!(
                    "an object in a JSON Schema may have {OBJECT_MAX_MEMBERS} members, and this one has \
                     more; group them, or use a list of names and values"
                ));
            }
            Value::Object(members) => {
                open.extend(members.values().map(|member| (member, level + 1)));
                members.keys().map(|key| key.len() + 4).sum::<usize>() + 2
            }
            Value::String(text) => text.len() + 2,
            Value::Null | Value::Bool(_) | Value::Number(_) => 4,
        };
        if bytes > SCHEMA_MAX_BYTES {
            return Err(format!(
                "a JSON Schema may have {} KiB, and this one has more; shorten its descriptions, or \
                 ask for less at once",
                SCHEMA_MAX_BYTES / 1024
            ));
        }
    }
    Ok(())
}

/// Adds llguidance's options for JSON on one line, with at most a space after commas and colons: with unbounded white
/// space a model may generate nothing else. A `strict` schema fails to compile if it can't be enforced completely; of
/// another one, keywords that can't be enforced are ignored.
pub(super) fn single_line_schema(mut schema: Value, strict: bool) -> Value {
    // `true` allows anything, like `{}`.
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
