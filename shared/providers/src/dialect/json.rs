//! Parses the JSON of a frame, and mends what servers are known to write wrongly.

use hearth_wire::ApiError;
use serde::de::DeserializeOwned;

use super::unreadable;

/// The most characters of a frame that is no JSON which an error shows.
const EXCERPT_MAX_CHARS: usize = 200;

/// The value of a frame's JSON. Scalars and lists, such as `null` or `"ping"`, give nothing: no dialect says anything by
/// them.
///
/// # Errors
/// `provider_error` for what is no JSON. Plain words, which some servers send in place of an error, are shown.
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
        return Err(unreadable(format!("it says: {excerpt}")));
    }
    match mend(data) {
        Some(mended) => serde_json::from_str(&mended).map(Some).map_err(unreadable),
        None if data.starts_with('[') => Ok(None),
        None => Err(unreadable(error)),
    }
}

/// JSON without what Python's and JavaScript's writers are known to leave in it: halves of characters (`\ud83d` alone,
/// where a token ends in the middle of one), `NaN` and `Infinity`, and bare control characters in strings. `None` if
/// there was nothing of it.
fn mend(text: &str) -> Option<String> {
    let mut mended = String::with_capacity(text.len() + 16);
    let (mut in_string, mut changed, mut rest) = (false, false, text);
    while let Some(character) = rest.chars().next() {
        let (taken, replacement) = match character {
            '\\' if in_string => escape(rest),
            '"' => {
                in_string = !in_string;
                (1, None)
            }
            control if in_string && control < ' ' => (1, Some(format!("\\u{:04x}", u32::from(control)))),
            '-' | 'I' | 'N' if !in_string => not_a_number(rest),
            other => (other.len_utf8(), None),
        };
        let (part, behind) = rest.split_at_checked(taken)?;
        changed |= replacement.is_some();
        mended.push_str(replacement.as_deref().unwrap_or(part));
        rest = behind;
    }
    changed.then_some(mended)
}

/// The length of the escape sequence at the beginning of `text`, and what takes its place if it is half a character.
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
    fn half_characters_not_numbers_and_control_characters_are_mended() {
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
    fn scalars_and_lists_say_nothing_and_plain_words_are_an_error_that_shows_them() {
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
        fn any_text_is_parsed_or_refused(text in "[\\PC\\\\\"{}un0-9dDeN-]{0,60}") {
            let _ = parse::<Value>(&format!("{{\"a\":\"{text}"));
            let _ = parse::<Value>(&text);
        }
    }
}
