//! What a model's output is held to: JSON that fits a schema, or calls of tools.
//!
//! llguidance keeps the output to a grammar, token by token. A client's schema becomes part of one,
//! so its depth and size are bounded before anything walks it.

mod cache;

use hearth_domain::ResponseFormat;
use llguidance::{Matcher, ParserFactory, api::TopLevelGrammar, toktrie::TokEnv};
use serde_json::{Value, json};

pub(super) use cache::Grammars;

/// How deep a schema may be nested; the root is the first level.
const MOST_LEVELS: usize = 64;
/// How long a schema's JSON text may be, in bytes.
const MOST_BYTES: usize = 128 * 1024;

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

/// A matcher at the beginning of `grammar`'s language.
///
/// # Errors
/// What about a schema can't be held to, for the one who wrote it.
pub(super) fn compile(factory: &ParserFactory, grammar: TopLevelGrammar) -> Result<Matcher, String> {
    factory.create_parser(grammar).map(|parser| Matcher::new(Ok(parser))).map_err(|error| reason(&error))
}

/// The grammar for an answer of this form; none if any text will do.
///
/// # Errors
/// If its schema is too large.
pub(super) fn schema_grammar(format: &ResponseFormat) -> Result<Option<TopLevelGrammar>, String> {
    let schema = match format {
        ResponseFormat::Text => return Ok(None),
        ResponseFormat::JsonObject => json!({"type": "object"}),
        ResponseFormat::JsonSchema(schema) => {
            check_schema(schema)?;
            schema.clone()
        }
    };
    Ok(Some(TopLevelGrammar::from_json_schema(compact(schema, true))))
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

/// What went wrong, without the grammar and its line numbers, which the client hasn't seen.
fn reason(error: &impl std::fmt::Display) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests;
