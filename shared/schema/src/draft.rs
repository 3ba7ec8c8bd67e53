//! Detects the draft of a JSON Schema, and validates the schema against it.

use jsonschema::{Draft, ValidationError};
use serde_json::Value;

/// Largest length of an invalid value in an error.
const VALUE_MAX_CHARS: usize = 60;

/// Returns the draft of `schema`: the one that `$schema` names, else the newest in which the schema is valid.
///
/// # Errors
/// The problem of an invalid schema, or of an unsupported draft.
pub(super) fn detect(schema: &Value) -> Result<Draft, String> {
    let named = schema.get("$schema").and_then(Value::as_str);
    if named.is_some_and(|uri| ["draft-01", "draft-02", "draft-03"].iter().any(|old| uri.contains(old))) {
        return Err("is written in a draft before 4; use draft 4 or later".to_owned());
    }
    if let Some(draft) = named.and_then(named_draft) {
        return validate(draft, schema).map(|()| draft);
    }
    let newest = Draft::Draft202012;
    let Err(reason) = validate(newest, schema) else { return Ok(newest) };
    let older = [Draft::Draft201909, Draft::Draft7, Draft::Draft4].into_iter();
    older.into_iter().find(|draft| validate(*draft, schema).is_ok()).ok_or(reason)
}

/// Returns the draft that a meta-schema's URI names.
pub(super) fn named_draft(uri: &str) -> Option<Draft> {
    let drafts = [
        ("draft-04", Draft::Draft4),
        ("draft-06", Draft::Draft6),
        ("draft-07", Draft::Draft7),
        ("2019-09", Draft::Draft201909),
        ("2020-12", Draft::Draft202012),
    ];
    let address = uri.strip_prefix("http://").or_else(|| uri.strip_prefix("https://"))?;
    let rest = address.strip_prefix("json-schema.org/")?;
    drafts.iter().find(|(name, _)| rest.contains(name)).map(|(_, draft)| *draft)
}

/// Returns whether keywords beside `$ref` apply in `draft`.
pub(super) fn keeps_siblings(draft: Draft) -> bool {
    matches!(draft, Draft::Draft201909 | Draft::Draft202012)
}

fn validate(draft: Draft, schema: &Value) -> Result<(), String> {
    let (outcome, name) = match draft {
        Draft::Draft4 => (jsonschema::draft4::meta::validate(schema), "draft 4"),
        Draft::Draft6 => (jsonschema::draft6::meta::validate(schema), "draft 6"),
        Draft::Draft7 => (jsonschema::draft7::meta::validate(schema), "draft 7"),
        Draft::Draft201909 => (jsonschema::draft201909::meta::validate(schema), "draft 2019-09"),
        _ => (jsonschema::draft202012::meta::validate(schema), "draft 2020-12"),
    };
    outcome.map_err(|error| format_error(&error, name))
}

fn format_error(error: &ValidationError<'_>, draft: &str) -> String {
    let path = error.instance_path().as_str();
    let path = if path.is_empty() { "its root".to_owned() } else { format!("its {path}") };
    let value = error.instance().to_string();
    let mut truncated: String = value.chars().take(VALUE_MAX_CHARS).collect();
    if truncated.len() < value.len() {
        truncated.push('…');
    }
    format!("is not a valid JSON Schema ({draft}): {path} can't be {truncated}")
}
