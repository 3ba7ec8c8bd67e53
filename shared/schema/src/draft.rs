//! Which draft of JSON Schema a schema is written in, and whether it is valid there.

use jsonschema::{Draft, ValidationError};
use serde_json::Value;

/// How much of a value at fault an error shows, in characters.
const SHOWN_CHARS: usize = 60;

/// The draft of `schema`: the one that `$schema` names, or else the newest in which the schema is valid.
///
/// # Errors
/// If the schema is invalid in its draft, or the draft isn't supported.
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

/// The draft that a meta-schema's URI names.
pub(super) fn named_draft(uri: &str) -> Option<Draft> {
    let drafts = [
        ("draft-04", Draft::Draft4),
        ("draft-06", Draft::Draft6),
        ("draft-07", Draft::Draft7),
        ("2019-09", Draft::Draft201909),
        ("2020-12", Draft::Draft202012),
    ];
    let at = uri.strip_prefix("http://").or_else(|| uri.strip_prefix("https://"))?;
    let rest = at.strip_prefix("json-schema.org/")?;
    drafts.iter().find(|(name, _)| rest.contains(name)).map(|(_, draft)| *draft)
}

/// Whether keywords beside `$ref` apply in `draft`.
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
    outcome.map_err(|error| invalid(&error, name))
}

fn invalid(error: &ValidationError<'_>, draft: &str) -> String {
    let place = error.instance_path().as_str();
    let place = if place.is_empty() { "its root".to_owned() } else { format!("its {place}") };
    let value = error.instance().to_string();
    let mut shown: String = value.chars().take(SHOWN_CHARS).collect();
    if shown.len() < value.len() {
        shown.push('…');
    }
    format!("isn't a valid JSON Schema ({draft}): {place} can't be {shown}")
}
