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
/// Names of types and of serde's data model, behind the word "expected".
const EXPECTED: [(&str, &str); 27] = [
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
    ("a nonzero u8", "a whole number from 1 to 255"),
    ("a nonzero u16", "a whole number from 1 to 65535"),
    ("a nonzero u32", "a whole number from 1 to 4294967295"),
    ("a nonzero u64", "a whole number from 1"),
    ("a nonzero usize", "a whole number from 1"),
    ("a boolean", "true or false"),
    ("a sequence", "a list"),
    ("a map", "an object"),
    ("map with a single key", "an object with one field"),
    ("string or map", "a string or an object"),
    ("unit variant", "a name, which is a string"),
    ("newtype variant", "an object with one field"),
    ("tuple variant", "an object with one field, a list"),
    ("unit", "null"),
    ("variant identifier", "a name, which is a string"),
];
/// Kinds of Rust's types before their names, behind the word "expected". Each is an object in JSON.
const OBJECTS: [&str; 5] =
    ["struct variant ", "struct ", "internally tagged enum ", "adjacently tagged enum ", "enum "];
/// Values of serde's data model, behind "invalid type" or "invalid value".
const VALUES: [(&str, &str); 6] = [
    ("map", "an object"),
    ("sequence", "a list"),
    ("unit value", "null"),
    ("unit variant", "a name"),
    ("newtype variant", "an object with one field"),
    ("string ", "the text "),
];
/// The same for values in backquotes.
const QUOTED_VALUES: [(&str, &str); 3] =
    [("integer `", "the number "), ("floating point `", "the number "), ("boolean `", "")];
/// Starts of serde's messages about a value that isn't as expected.
const UNEXPECTED: [&str; 2] = ["invalid type: ", "invalid value: "];

/// Starts of serde's messages about a field, before its name and a backquote.
const FIELDS: [&str; 3] = ["missing field `", "unknown field `", "duplicate field `"];

/// Returns the name of the field that serde's message is about, if the field is missing, unknown or there twice.
#[must_use]
pub fn field_of_reason(reason: &str) -> Option<&str> {
    FIELDS.iter().find_map(|start| reason.strip_prefix(start)?.split('`').next())
}

/// Returns the reason why a text or a value can't be parsed, without names of Rust.
#[must_use]
pub fn plain_reason(reason: &str) -> String {
    if reason.starts_with("data did not match any variant") {
        return "it has none of the allowed forms".to_owned();
    }
    for (message, plain) in PARSERS {
        if let Some(before) = reason.strip_suffix(message) {
            return format!("{before}{plain}");
        }
    }
    if let Some(rest) = reason.strip_prefix("unknown variant ") {
        return format!("unknown value {rest}");
    }
    if let Some((before, unexpected, expected)) = split_unexpected(reason) {
        return format!("{before}expected {}, not {}", plain_type(expected), plain_value(unexpected));
    }
    if let Some(rest) = reason.strip_prefix("invalid length ")
        && let Some((length, expected)) = rest.split_once(", expected ")
    {
        return format!("expected {}, not {length} items", plain_type(expected));
    }
    match reason.rsplit_once("expected ") {
        Some((before, expected)) => format!("{before}expected {}", plain_type(expected)),
        None => reason.to_owned(),
    }
}

/// Splits a message such as `limit: invalid type: map, expected u32`: the text before it, the value, and the type. The value may be a
/// text of the client with the same words in it.
fn split_unexpected(reason: &str) -> Option<(&str, &str, &str)> {
    let (start, at) =
        UNEXPECTED.iter().filter_map(|start| Some((start, reason.find(start)?))).min_by_key(|(_, at)| *at)?;
    let (before, rest) = reason.split_at(at);
    let (unexpected, expected) = rest[start.len()..].rsplit_once(", expected ")?;
    (before.is_empty() || before.ends_with(": ")).then_some((before, unexpected, expected))
}

fn plain_type(expected: &str) -> String {
    if let Some(name) = OBJECTS.iter().find_map(|kind| expected.strip_prefix(kind)) {
        let rest = name.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':'));
        return format!("an object{rest}");
    }
    for list in ["a tuple of size ", "an array of length "] {
        if let Some(length) = expected.strip_prefix(list) {
            return format!("a list of {length} items");
        }
    }
    let word_end = |name: &str| !expected[name.len()..].starts_with(|c: char| c.is_ascii_alphanumeric());
    match EXPECTED.iter().find(|(name, _)| expected.starts_with(name) && word_end(name)) {
        Some((name, plain)) => format!("{plain}{}", &expected[name.len()..]),
        None => expected.to_owned(),
    }
}

fn plain_value(value: &str) -> String {
    let quoted = QUOTED_VALUES.iter().find_map(|(name, plain)| {
        Some(format!("{plain}{}", value.strip_prefix(name)?.trim_end_matches('`')))
    });
    let plain =
        || VALUES.iter().find_map(|(name, plain)| Some(format!("{plain}{}", value.strip_prefix(name)?)));
    quoted.or_else(plain).unwrap_or_else(|| value.to_owned())
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
            ("provided string was not `true` or `false`", "must be true or false"),
            (
                "invalid value: integer `-1`, expected u32",
                "expected a whole number from 0 to 4294967295, not the number -1",
            ),
            ("invalid type: string \"a\", expected f64", "expected a number, not the text \"a\""),
            ("invalid type: map, expected a sequence", "expected a list, not an object"),
            ("invalid type: sequence, expected a map", "expected an object, not a list"),
            ("invalid type: sequence, expected struct Point", "expected an object, not a list"),
            (
                "invalid type: sequence, expected struct variant Shape::Square",
                "expected an object, not a list",
            ),
            (
                "invalid type: unit variant, expected newtype variant",
                "expected an object with one field, not a name",
            ),
            ("invalid type: map, expected a string", "expected a string, not an object"),
            (
                "limit: invalid type: unit value, expected u64",
                "limit: expected a whole number from 0, not null",
            ),
            (
                "invalid type: null, expected struct Point with 2 elements",
                "expected an object with 2 elements, not null",
            ),
            ("invalid type: boolean `true`, expected a string", "expected a string, not true"),
            (
                "invalid type: string \"a, expected b\", expected u8",
                "expected a whole number from 0 to 255, not the text \"a, expected b\"",
            ),
            ("invalid length 3, expected a tuple of size 2", "expected a list of 2 items, not 3 items"),
            ("unknown variant `a`, expected `b` or `c`", "unknown value `a`, expected `b` or `c`"),
            ("data did not match any variant of untagged enum Stop", "it has none of the allowed forms"),
            ("missing field `a`", "missing field `a`"),
            ("expected u32s", "expected u32s"),
        ] {
            assert_eq!(plain_reason(reason), plain);
        }
    }
}
