//! Parses the JSON of a frame, and repairs known errors of servers in it.

use hearth_wire::ApiError;
use serde::de::DeserializeOwned;

use crate::answer_error::unreadable;

/// Maximum length of the excerpt of a frame in an error, in characters.
const EXCERPT_MAX_CHARS: usize = 200;

/// Parses the object of a frame; `None` for scalars and lists, such as `null` or `"ping"`, which have no meaning in any
/// dialect.
///
/// # Errors
/// `provider_error` for text that isn't JSON, with an excerpt: some servers send their error as plain text.
pub(super) fn parse<T: DeserializeOwned>(data: &str) -> Result<Option<T>, ApiError> {
    let data = data.trim();
    let error = match serde_json::from_str(data) {
        Ok(value) if data.starts_with('{') => return Ok(Some(value)),
        Ok(_) => return Ok(None),
        Err(error) => error,
    };
    if !data.starts_with(['{', '[']) {
        if data == "null" || serde_json::from_str::<serde::de::IgnoredAny>(data).is_ok() {
            return Ok(None);
        }
        let excerpt: String = data.chars().take(EXCERPT_MAX_CHARS).collect();
        return Err(unreadable(format!("it is the text: {excerpt}")));
    }
    match repair(data) {
        Some(repaired) => serde_json::from_str(&repaired).map(Some).map_err(unreadable),
        None if data.starts_with('[') => Ok(None),
        None => Err(unreadable(error)),
    }
}

/// Repairs errors of Python's and JavaScript's JSON writers: lone surrogates (`\ud83d` alone, where a token ends within a
/// character), `NaN` and `Infinity`, and raw control characters in strings. `None` if there are none.
pub(crate) fn repair(text: &str) -> Option<String> {
    let mut repaired = String::with_capacity(text.len() + 16);
    let (mut in_string, mut changed, mut rest) = (false, false, text);
    while let Some(character) = rest.chars().next() {
        let (length, replacement) = match character {
            '\\' if in_string => escape(rest),
            '"' => {
                in_string = !in_string;
                (1, None)
            }
            control if in_string && control < ' ' => (1, Some(format!("\\u{:04x}", u32::from(control)))),
            '-' | 'I' | 'N' if !in_string => not_a_number(rest),
            other => (other.len_utf8(), None),
        };
        let (part, after) = rest.split_at_checked(length)?;
        changed |= replacement.is_some();
        repaired.push_str(replacement.as_deref().unwrap_or(part));
        rest = after;
    }
    changed.then_some(repaired)
}

/// Returns the length of the escape sequence at the beginning of `text`, and its replacement if it is a lone surrogate.
fn escape(text: &str) -> (usize, Option<String>) {
    let unit = |at: usize| {
        let digits = text.get(at..)?.strip_prefix("\\u")?.get(..4)?;
        u32::from_str_radix(digits, 16).ok()
    };
    match (unit(0), unit(6)) {
        (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => (12, None),
        (Some(0xd800..=0xdfff), _) => (6, Some("\\ufffd".to_owned())),
        _ => (1 + text.chars().nth(1).map_or(0, char::len_utf8), None),
    }
}

/// Returns the length of `NaN` or `Infinity` at the beginning of `text`, and its replacement.
fn not_a_number(text: &str) -> (usize, Option<String>) {
    let word = ["-Infinity", "Infinity", "NaN", "-NaN"].into_iter().find(|word| text.starts_with(word));
    word.map_or((1, None), |word| (word.len(), Some("null".to_owned())))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn surrogates_nan_and_control_characters_are_repaired() {
        let cases = [
            (r#"{"a":"\ud83d"}"#, json!({"a": "\u{fffd}"})),
            (r#"{"a":"\ud83d\ude00\\"}"#, json!({"a": "😀\\"})),
            (r#"{"a":"\ude00x","b":[NaN,-Infinity,-1]}"#, json!({"a": "\u{fffd}x", "b": [null, null, -1]})),
            ("{\"a\":\"b\nNaN\"}", json!({"a": "b\nNaN"})),
        ];
        for (text, value) in cases {
            assert_eq!(parse::<Value>(text).unwrap(), Some(value), "{text}");
        }
    }

    #[test]
    fn scalars_are_ignored_and_plain_text_is_an_error_that_shows_it() {
        for text in ["null", "1", "\"ping\"", "[1]", " true "] {
            assert_eq!(parse::<Value>(text).unwrap(), None, "{text}");
        }
        let error = parse::<Value>("Internal Server Error").unwrap_err();
        assert!(error.message.contains("Internal Server Error"), "{error}");
        for text in ["{", "{\"a\":}", "{\"a\":\"\\u12\"}", "{} {"] {
            assert!(parse::<Value>(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_rejected(text in "[\\PC\\\\\"{}un0-9dDeN-]{0,60}") {
            let _ = parse::<Value>(&format!("{{\"a\":\"{text}"));
            let _ = parse::<Value>(&text);
        }
    }
}
