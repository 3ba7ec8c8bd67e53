//! How much memory a body of JSON takes when it is parsed.
//!
//! `[[],[],[]]` has three bytes for each value of 72 bytes, and `{"a":1}` eight for an object of hundreds: a body within
//! the limit of bytes could take a gigabyte. So its values are counted before it is parsed.

use hearth_wire::{ApiError, ErrorCode};

/// Bodies up to this size aren't counted: parsed they take a few megabytes at the most.
const FREE_BYTES: usize = 64 << 10;
/// An object counts as so many values: it has a table of its keys beside them.
const OBJECT_WEIGHT: usize = 8;
/// The most values, with 72 bytes each; the 300,000 tokens of a large request for embeddings are a third of it.
const VALUES_MAX_COUNT: usize = 1_000_000;

/// Refuses a body of too many values. It need not be JSON: that is found when it is parsed.
///
/// # Errors
/// `payload_too_large`.
pub(crate) fn check(body: &[u8]) -> Result<(), ApiError> {
    if body.len() <= FREE_BYTES || count(body) <= VALUES_MAX_COUNT {
        return Ok(());
    }
    let message = format!(
        "the body has too many values: objects, lists, texts and numbers, {VALUES_MAX_COUNT} at most, where an object \
         counts as {OBJECT_WEIGHT}; send several requests"
    );
    Err(ApiError::new(ErrorCode::PayloadTooLarge, message).with("limit_values", VALUES_MAX_COUNT))
}

/// Values, each name of an object's field among them.
fn count(body: &[u8]) -> usize {
    let mut values = 1;
    let mut bytes = body.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'{' => values += OBJECT_WEIGHT,
            b'[' | b',' | b':' => values += 1,
            b'"' => {
                while let Some(byte) = bytes.next() {
                    match byte {
                        b'"' => break,
                        b'\\' => {
                            bytes.next();
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counted_and_texts_are_not_looked_into() {
        assert_eq!(count(br#""a text, with {[:,\"{,""#), 1);
        assert_eq!(count(b"[1,2,3]"), 4);
        assert_eq!(count(br#"{"a":{"b":1}}"#), 1 + 8 + 1 + 8 + 1);
    }

    #[test]
    fn body_of_many_small_values_is_refused_and_one_of_a_long_text_is_not() {
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
