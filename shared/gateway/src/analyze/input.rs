//! Checks of the input of an analysis: length, characters, and the size of its schema.

use std::borrow::Cow;

use hearth_schema::AnswerSchema;
use hearth_settings::AnalyzeSettings;
use hearth_wire::ApiError;
use icu_normalizer::ComposingNormalizerBorrowed;
use serde_json::{Map, Value};

/// Keywords whose value is a map of schemas, by names.
const MAPS_OF_SCHEMAS: [&str; 6] =
    ["properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies"];
/// Keywords whose value is no schema.
const VALUES: [&str; 5] = ["const", "enum", "default", "example", "examples"];

/// Returns a text in the composed form (NFC), without space around it. Equal texts are then equal in the cache.
///
/// # Errors
/// `invalid_request`, naming the field, for an empty or too long text, and for a control character.
pub(super) fn clean_text(field: &str, text: &str, settings: &AnalyzeSettings) -> Result<String, ApiError> {
    let text = text.trim();
    let max = usize::try_from(settings.prompt_max_chars).unwrap_or(usize::MAX);
    // The first check is of the bytes, so that no time is spent on a text that is far too long.
    let is_too_long = text.len() / 4 > max || text.chars().count() > max;
    if is_too_long {
        let message =
            format!("{field} must have at most {max} characters; split the text, or leave parts of it out");
        return Err(ApiError::invalid(field, message).with("max_chars", settings.prompt_max_chars));
    }
    check_characters(field, text)?;
    let text: Cow<'_, str> = ComposingNormalizerBorrowed::new_nfc().normalize(text);
    if text.is_empty() {
        return Err(ApiError::invalid(field, format!("{field} must not be empty")));
    }
    Ok(text.into_owned())
}

/// Checks that a text has no control character but tabs and ends of lines.
fn check_characters(field: &str, text: &str) -> Result<(), ApiError> {
    let is_forbidden = |c: char| c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{85}');
    let Some((index, character)) = text.chars().enumerate().find(|(_, c)| is_forbidden(*c)) else {
        return Ok(());
    };
    let message = format!(
        "{field} has the control character U+{:04X} as its character {index}, from 0: remove it",
        u32::from(character)
    );
    Err(ApiError::invalid(field, message))
}

/// Checks the texts in a template's variables, and returns them with their fields.
///
/// # Errors
/// As [`clean_text`]; the limit is of all texts together.
pub(super) fn texts_of_variables<'a>(
    variables: &'a Map<String, Value>,
    settings: &AnalyzeSettings,
) -> Result<Vec<(String, &'a str)>, ApiError> {
    let mut texts = Vec::new();
    for (name, value) in variables {
        collect_texts(&format!("variables.{name}"), value, &mut texts);
    }
    let max = usize::try_from(settings.prompt_max_chars).unwrap_or(usize::MAX);
    let count: usize = texts.iter().map(|(_, text)| text.chars().count()).sum();
    if count > max {
        let message = format!("the texts of variables must have at most {max} characters together");
        return Err(ApiError::invalid("variables", message).with("max_chars", settings.prompt_max_chars));
    }
    texts.iter().try_for_each(|(field, text)| check_characters(field, text))?;
    Ok(texts)
}

fn collect_texts<'a>(field: &str, value: &'a Value, texts: &mut Vec<(String, &'a str)>) {
    match value {
        Value::String(text) => texts.push((field.to_owned(), text)),
        Value::Array(values) => {
            let numbered = values.iter().enumerate();
            numbered.for_each(|(index, value)| collect_texts(&format!("{field}[{index}]"), value, texts));
        }
        Value::Object(fields) => {
            fields.iter().for_each(|(name, value)| collect_texts(&format!("{field}.{name}"), value, texts));
        }
        _ => {}
    }
}

/// Checks a request's own schema.
///
/// # Errors
/// `invalid_request` for a schema that is too large, too deep, or invalid.
pub(super) fn check_schema(schema: &Value, settings: &AnalyzeSettings) -> Result<(), ApiError> {
    let refuse = |problem: String| Err(ApiError::invalid("schema", format!("schema {problem}")));
    if !schema.is_object() {
        return refuse("must be a JSON Schema, which is an object".to_owned());
    }
    let bytes = serde_json::to_vec(schema).map_or(usize::MAX, |json| json.len());
    if bytes > settings.schema_max_bytes() {
        return refuse(format!(
            "must have at most {} KiB, and has {}",
            settings.schema_max_kb,
            bytes.div_ceil(1024)
        ));
    }
    let depth = depth(schema);
    if depth > settings.schema_max_depth {
        let most = settings.schema_max_depth;
        return refuse(format!("must have at most {most} levels of schemas in one another, and has {depth}"));
    }
    match AnswerSchema::parse(schema) {
        Ok(_) => Ok(()),
        Err(problem) => refuse(problem),
    }
}

/// The levels of schemas in one another.
fn depth(schema: &Value) -> u32 {
    let of_parts = match schema {
        Value::Object(keywords) => keywords
            .iter()
            .filter(|(keyword, _)| !VALUES.contains(&keyword.as_str()))
            .map(|(keyword, value)| match value {
                Value::Object(schemas) if MAPS_OF_SCHEMAS.contains(&keyword.as_str()) => {
                    schemas.values().map(depth).max().unwrap_or_default()
                }
                value => depth(value),
            })
            .max(),
        Value::Array(values) => return values.iter().map(depth).max().unwrap_or_default(),
        _ => return 0,
    };
    1 + of_parts.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn clean(text: &str) -> Result<String, ApiError> {
        clean_text("prompt", text, &AnalyzeSettings { prompt_max_chars: 10, ..AnalyzeSettings::default() })
    }

    #[test]
    fn text_is_trimmed_and_composed() {
        assert_eq!(clean("  e\u{301}té\r\n\tok \n").unwrap(), "été\r\n\tok");
        assert_eq!(clean(&"ü".repeat(10)).unwrap().chars().count(), 10);
    }

    #[test]
    fn unfit_text_is_refused_with_the_reason() {
        for (text, reason) in [
            ("ü".repeat(11), "at most 10 characters"),
            ("x".repeat(1_000_000), "at most 10 characters"),
            (" \n ".to_owned(), "must not be empty"),
            ("ab\u{0}c".to_owned(), "U+0000 as its character 2"),
            ("\u{1b}[2J".to_owned(), "U+001B"),
            ("\u{9b}x".to_owned(), "U+009B"),
        ] {
            let error = clean(&text).unwrap_err();
            assert_eq!(error.param.as_deref(), Some("prompt"));
            assert!(error.message.contains(reason), "{}", error.message);
        }
    }

    #[test]
    fn texts_of_variables_are_found_at_any_depth() {
        let variables = json!({"a": "x", "b": {"c": ["y", 1, {"d": "z"}]}});
        let texts = texts_of_variables(variables.as_object().unwrap(), &AnalyzeSettings::default()).unwrap();
        let fields: Vec<&str> = texts.iter().map(|(field, _)| field.as_str()).collect();
        assert_eq!(fields, ["variables.a", "variables.b.c[0]", "variables.b.c[2].d"]);
        let long = json!({"a": "x".repeat(6), "b": "y".repeat(5)});
        let settings = AnalyzeSettings { prompt_max_chars: 10, ..AnalyzeSettings::default() };
        assert!(texts_of_variables(long.as_object().unwrap(), &settings).is_err());
    }

    #[test]
    fn schema_has_limits_of_size_and_depth() {
        let nested = |levels: u32| {
            (1..levels).fold(
                json!({"type": "string"}),
                |inner, _| json!({"type": "object", "properties": {"a": inner}}),
            )
        };
        let settings = AnalyzeSettings::default();
        assert_eq!(depth(&nested(10)), 10);
        assert!(check_schema(&nested(10), &settings).is_ok());
        let error = check_schema(&nested(11), &settings).unwrap_err();
        assert!(error.message.contains("10 levels"), "{}", error.message);
        assert_eq!(depth(&json!({"enum": [{"a": {"b": {}}}], "anyOf": [{"type": "string"}]})), 2);
        let large = json!({"description": "x".repeat(51 << 10)});
        assert!(check_schema(&large, &settings).unwrap_err().message.contains("50 KiB"));
        for unfit in [json!(true), json!({"type": "nonsense"}), json!({"$ref": "https://example.com/x"})] {
            assert_eq!(check_schema(&unfit, &settings).unwrap_err().param.as_deref(), Some("schema"));
        }
    }
}
