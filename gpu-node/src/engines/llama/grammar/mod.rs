//! What a model's output is held to: JSON that fits a schema, or calls of tools.
//!
//! llguidance keeps the output to a grammar, token by token. A client's schema becomes part of one,
//! so its depth and size are bounded before anything walks it.

mod cache;

use std::{fmt::Display, thread};

use hearth_domain::ResponseFormat;
use llguidance::{Matcher, ParserFactory, api::TopLevelGrammar, toktrie::TokEnv};
use serde_json::{Value, json};

pub(super) use cache::Grammars;

/// How deep a schema may be nested; the root is the first level.
const MOST_LEVELS: usize = 64;
/// How long a schema's JSON text may be, in bytes.
const MOST_BYTES: usize = 128 * 1024;
/// How many members one of its objects may have: the time that they take grows with their square.
const MOST_MEMBERS: usize = 500;
/// The stack for compiling, which llguidance does by recursion: ten times of what a schema within
/// those bounds was seen to take.
const STACK: usize = 32 * 1024 * 1024;

/// What compiles grammars for a vocabulary: one for each model.
///
/// # Errors
/// If the vocabulary can't be used.
pub(super) fn factory(vocabulary: &TokEnv) -> Result<ParserFactory, String> {
    let mut factory = ParserFactory::new_simple(vocabulary).map_err(|error| reason(&error))?;
    // The engine's standard error is the node's log.
    factory.quiet();
    factory.limits_mut().verbose_errors = false;
    Ok(factory)
}

/// A matcher at the beginning of `grammar`'s language. This takes milliseconds, and more for large
/// schemas.
///
/// # Errors
/// What about a schema can't be held to, for the one who wrote it.
pub(super) fn compile(factory: &ParserFactory, grammar: TopLevelGrammar) -> Result<Matcher, String> {
    let work = || {
        let parser = factory.create_parser(grammar).map_err(|error| reason(&error))?;
        let mut matcher = Matcher::new(Ok(parser));
        // A language without words shows only now.
        matcher.compute_mask().map_err(|_| "nothing fits it".to_owned())?;
        Ok(matcher)
    };
    let compiled = thread::scope(|scope| {
        let thread = thread::Builder::new().stack_size(STACK).spawn_scoped(scope, work);
        let thread = thread.map_err(|error| error.to_string())?;
        thread.join().unwrap_or_else(|_| Err("it is too complicated".to_owned()))
    });
    compiled.map_err(|reason: String| format!("the JSON Schema can't be held to: {reason}"))
}

/// The JSON Schema for an answer of this form, as grammars take it; none if any text will do.
///
/// # Errors
/// If it is too large.
pub(super) fn answer_schema(format: &ResponseFormat) -> Result<Option<Value>, String> {
    let schema = match format {
        ResponseFormat::Text => return Ok(None),
        ResponseFormat::JsonObject => json!({"type": "object"}),
        ResponseFormat::JsonSchema(schema) => {
            check_schema(schema)?;
            schema.clone()
        }
    };
    Ok(Some(compact(schema, true)))
}

/// Bounds a schema from outside.
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

/// What went wrong, without places in a grammar that the client hasn't seen.
fn reason(error: &impl Display) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    if line.contains("panic") {
        return "it is too complicated".to_owned();
    }
    line.rsplit("failed to compile JSON schema: ").next().unwrap_or(line).to_owned()
}

#[cfg(test)]
mod tests;
