//! Limit of the memory that a JSON body takes when it is parsed.
//!
//! In `[[],[],[]]` each value of 72 bytes takes three bytes of text, and `{"a":1}` takes eight for an object of hundreds of
//! bytes: a body within the limit of bytes could take a gigabyte. So its values are counted before it is parsed.

use crate::{ApiError, ErrorCode};

/// Bodies up to this size aren't counted. Of JSON, the densest is a list of empty objects: `{},` weighs 9 in 3 bytes. So this many
/// bytes can't weigh more than [`VALUES_MAX_COUNT`], with the open objects of a body that is nested as deep as the parser allows.
const UNCOUNTED_MAX_BYTES: usize = 320 << 10;
/// Values that an object counts as: it has a table of its keys beside them.
const OBJECT_WEIGHT: usize = 8;
/// Most values of a body, of 72 bytes each. The 300,000 tokens of a large request for embeddings are a third of them.
const VALUES_MAX_COUNT: usize = 1_000_000;

/// Refuses a body of too many values. The body need not be valid JSON.
///
/// # Errors
/// `payload_too_large`.
pub(crate) fn check(body: &[u8]) -> Result<(), ApiError> {
    if body.len() <= UNCOUNTED_MAX_BYTES || count(body) <= VALUES_MAX_COUNT {
        return Ok(());
    }
    let message = format!(
        "the body has too many values: objects, lists, texts and numbers, {VALUES_MAX_COUNT} at most, where an object \
         counts as {OBJECT_WEIGHT}; send several requests"
    );
    Err(ApiError::new(ErrorCode::PayloadTooLarge, message).with("limit_values", VALUES_MAX_COUNT))
}

/// Counts the values of a body, names of fields included.
fn count(body: &[u8]) -> usize {
    let (mut values, mut rest) = (1, body);
    while let [byte, tail @ ..] = rest {
        rest = tail;
        match byte {
            b'{' => values += OBJECT_WEIGHT,
            b'[' | b',' | b':' => values += 1,
            b'"' => rest = skip_string(rest),
            _ => {}
        }
    }
    values
}

/// Returns the bytes after a string; its opening quote has been read.
fn skip_string(mut rest: &[u8]) -> &[u8] {
    while let Some(at) = memchr::memchr2(b'"', b'\\', rest) {
        if rest[at] == b'"' {
            return &rest[at + 1..];
        }
        // A backslash, and the byte that it escapes.
        rest = rest.get(at + 2..).unwrap_or_default();
    }
    &[]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    /// Levels of nesting that the parser allows.
    const LEVELS_MAX_COUNT: usize = 127;

    /// Any value, as a text without spaces.
    fn json() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![Just(Value::Null), any::<u8>().prop_map(Value::from), Just(Value::from(""))];
        let value = leaf.prop_recursive(6, 64, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
                prop::collection::vec(("[a-c]{0,2}", inner), 0..8)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        });
        value.prop_map(|value| value.to_string())
    }

    proptest! {
        #[test]
        fn beginning_of_json_weighs_at_most_three_a_byte(text in json(), end in any::<prop::sample::Index>()) {
            let open = LEVELS_MAX_COUNT * OBJECT_WEIGHT;
            for part in [text.as_str(), &text[..end.index(text.len())]] {
                prop_assert!(count(part.as_bytes()) <= 3 * part.len() + open + 1, "{part}");
            }
        }
    }

    #[test]
    fn densest_body_that_is_not_counted_is_within_the_limit() {
        let objects = "{},".repeat(UNCOUNTED_MAX_BYTES / 3);
        assert!(count(objects.as_bytes()) + LEVELS_MAX_COUNT * OBJECT_WEIGHT <= VALUES_MAX_COUNT);
    }

    #[test]
    fn count_ignores_the_contents_of_strings() {
        assert_eq!(count(br#""a text, with {[:,\"{,""#), 1);
        assert_eq!(count(b"[1,2,3]"), 4);
        assert_eq!(count(br#"{"a":{"b":1}}"#), 1 + 8 + 1 + 8 + 1);
    }

    #[test]
    fn body_of_many_small_values_is_refused_and_a_long_string_is_not() {
        for piece in ["[],", "{\"a\":1},", "1,"] {
            let body = format!("{{\"x\":[{}1]}}", piece.repeat(9_900_000 / piece.len()));
            let error = check(body.as_bytes()).unwrap_err();
            assert_eq!(error.code, ErrorCode::PayloadTooLarge, "{piece}");
        }
        check(format!("{{\"x\":\"{}\"}}", ",".repeat(9_900_000)).as_bytes()).unwrap();
        check(format!("[{}1]", "12345,".repeat(300_000)).as_bytes()).unwrap();
        let messages = r#"{"role":"user","content":"hi"},"#.repeat(50_000);
        check(format!("{{\"messages\":[{messages}{{}}]}}").as_bytes()).unwrap();
    }
}
