//! Writes JSON as Python's `json.dumps(.., ensure_ascii=False)` does: models have learnt tools and calls in this form.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{Formatter, PrettyFormatter, Serializer};

/// Writes `value` on one line with a space after commas and colons, or on several lines with `indent` spaces per level.
///
/// # Errors
/// If a map in it has keys that can't be strings.
pub(in crate::engines::llama) fn to_string(
    value: &impl Serialize,
    indent: Option<usize>,
) -> serde_json::Result<String> {
    let mut bytes = Vec::new();
    match indent {
        None => value.serialize(&mut Serializer::with_formatter(&mut bytes, Spaced))?,
        Some(width) => {
            let indent = b" ".repeat(width);
            let lines = PrettyFormatter::with_indent(&indent);
            value.serialize(&mut Serializer::with_formatter(&mut bytes, lines))?;
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Formatter of one line with a space after separators.
struct Spaced;

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn output_equals_json_dumps() {
        let value = json!({"a": [1, 2.5, "é<'>\n"], "b": {}, "c": []});
        assert_eq!(to_string(&value, None).unwrap(), r#"{"a": [1, 2.5, "é<'>\n"], "b": {}, "c": []}"#);
        let lines = "{\n    \"a\": [\n        1,\n        2.5,\n        \"é<'>\\n\"\n    ],\n    \"b\": {},\n    \"c\": []\n}";
        assert_eq!(to_string(&value, Some(4)).unwrap(), lines);
    }
}
