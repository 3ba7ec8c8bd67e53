//! The messages of Rust's parsers in plain words.

/// Messages of the parsers of the standard library.
const PARSERS: [(&str, &str); 9] = [
    ("invalid digit found in string", "must be a whole number"),
    ("cannot parse integer from empty string", "must be a whole number, and is empty"),
    ("number too large to fit in target type", "is too large"),
    ("number too small to fit in target type", "is too small"),
    ("invalid float literal", "must be a number"),
    ("cannot parse float from empty string", "must be a number, and is empty"),
    ("provided string was not `true` or `false`", "must be true or false"),
    ("too many characters in string", "must be one character"),
    ("cannot parse char from empty string", "must be one character, and is empty"),
];
/// Names of Rust's types behind the word "expected".
const TYPES: [(&str, &str); 13] = [
    ("u8", "a whole number from 0 to 255"),
    ("u16", "a whole number from 0 to 65535"),
    ("u32", "a whole number from 0 to 4294967295"),
    ("u64", "a whole number from 0"),
    ("usize", "a whole number from 0"),
    ("u128", "a whole number from 0"),
    ("i8", "a whole number from -128 to 127"),
    ("i16", "a whole number from -32768 to 32767"),
    ("i32", "a whole number from -2147483648 to 2147483647"),
    ("i64", "a whole number"),
    ("f32", "a number"),
    ("f64", "a number"),
    ("a sequence", "a list"),
];

/// Returns the reason why a text or a value can't be parsed, without names of Rust.
#[must_use]
pub fn plain_reason(reason: &str) -> String {
    for (message, plain) in PARSERS {
        if let Some(before) = reason.strip_suffix(message) {
            return format!("{before}{plain}");
        }
    }
    let Some((before, expected)) = reason.rsplit_once("expected ") else { return reason.to_owned() };
    let word_end = |name: &str| !expected[name.len()..].starts_with(|c: char| c.is_ascii_alphanumeric());
    match TYPES.iter().find(|(name, _)| expected.starts_with(name) && word_end(name)) {
        Some((name, plain)) => format!("{before}expected {plain}{}", &expected[name.len()..]),
        None => reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_rust_are_replaced() {
        for (reason, plain) in [
            ("invalid digit found in string", "must be a whole number"),
            ("limit: invalid digit found in string", "limit: must be a whole number"),
            ("number too large to fit in target type", "is too large"),
            (
                "invalid value: integer `-1`, expected u32",
                "invalid value: integer `-1`, expected a whole number from 0 to 4294967295",
            ),
            ("invalid type: string \"a\", expected f64", "invalid type: string \"a\", expected a number"),
            ("invalid type: map, expected a sequence", "invalid type: map, expected a list"),
            ("invalid type: map, expected a string", "invalid type: map, expected a string"),
            ("expected u32s", "expected u32s"),
        ] {
            assert_eq!(plain_reason(reason), plain);
        }
    }
}
