//! Serialises request bodies.
//!
//! `serde_json` looks up each byte of a string in a table. In a long conversation nearly all bytes need no escape, so a
//! block of bytes is checked at once here, in a form that compilers turn into vector instructions.

use serde_json::Value;

use crate::json_tree::Json;

/// Bytes that are checked together.
const BLOCK_BYTES: usize = 32;
/// Bytes that are reserved for a value beside its text: its name, quotes and separators.
const VALUE_BYTES: usize = 16;

/// Serialises a body.
pub(crate) fn serialize(body: &Json<'_>) -> Vec<u8> {
    let mut output = Vec::with_capacity(estimated_bytes(body));
    write_json(body, &mut output);
    output
}

/// Estimates the size of a value, with some bytes that need escapes.
fn estimated_bytes(json: &Json<'_>) -> usize {
    let content = match json {
        Json::Text(text) => text.len() + text.len() / 16,
        Json::Borrowed(_) | Json::Owned(_) => 0,
        Json::List(values) => values.iter().map(estimated_bytes).sum(),
        Json::Object(object) => object.fields().iter().map(|(_, value)| estimated_bytes(value)).sum(),
    };
    content + VALUE_BYTES
}

fn write_json(json: &Json<'_>, output: &mut Vec<u8>) {
    match json {
        Json::Text(text) => write_string(text, output),
        Json::Borrowed(value) => write_value(value, output),
        Json::Owned(value) => write_value(value, output),
        Json::List(values) => write_list(values, output, write_json),
        Json::Object(object) => {
            let fields = object.fields().iter();
            write_object(fields.map(|(name, value)| (&**name, value)), output, write_json);
        }
    }
}

fn write_value(value: &Value, output: &mut Vec<u8>) {
    match value {
        Value::Null => output.extend_from_slice(b"null"),
        Value::Bool(value) => output.extend_from_slice(if *value { b"true" } else { b"false" }),
        Value::Number(number) => output.extend_from_slice(number.to_string().as_bytes()),
        Value::String(text) => write_string(text, output),
        Value::Array(values) => write_list(values, output, write_value),
        Value::Object(fields) => {
            write_object(fields.iter().map(|(name, value)| (&**name, value)), output, write_value);
        }
    }
}

fn write_list<T>(values: &[T], output: &mut Vec<u8>, write: impl Fn(&T, &mut Vec<u8>)) {
    output.push(b'[');
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            output.push(b',');
        }
        write(value, output);
    }
    output.push(b']');
}

fn write_object<'a, T: 'a>(
    fields: impl Iterator<Item = (&'a str, &'a T)>,
    output: &mut Vec<u8>,
    write: impl Fn(&T, &mut Vec<u8>),
) {
    output.push(b'{');
    for (index, (name, value)) in fields.enumerate() {
        if index > 0 {
            output.push(b',');
        }
        write_string(name, output);
        output.push(b':');
        write(value, output);
    }
    output.push(b'}');
}

/// Writes a string with the escapes of RFC 8259, section 7.
fn write_string(text: &str, output: &mut Vec<u8>) {
    let mut rest = text.as_bytes();
    output.reserve(rest.len() + 2);
    output.push(b'"');
    while let Some(at) = position_of_escaped(rest) {
        output.extend_from_slice(&rest[..at]);
        write_escape(rest[at], output);
        rest = &rest[at + 1..];
    }
    output.extend_from_slice(rest);
    output.push(b'"');
}

/// Returns the position of the first byte that needs an escape.
fn position_of_escaped(bytes: &[u8]) -> Option<usize> {
    let (blocks, _) = bytes.as_chunks::<BLOCK_BYTES>();
    // Without a branch for each byte of a block, and with marks of the bytes' width: of flags LLVM makes twice the instructions.
    let marks = |byte: u8| u8::from(byte < 0x20) | u8::from(byte == b'"') | u8::from(byte == b'\\');
    let has_one = |block: &[u8; BLOCK_BYTES]| block.iter().fold(0, |any, byte| any | marks(*byte)) != 0;
    let clean = blocks.iter().position(has_one).unwrap_or(blocks.len()) * BLOCK_BYTES;
    let within = bytes[clean..].iter().position(|byte| needs_escape(*byte))?;
    Some(clean + within)
}

const fn needs_escape(byte: u8) -> bool {
    (byte < 0x20) | (byte == b'"') | (byte == b'\\')
}

fn write_escape(byte: u8, output: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let short = match byte {
        0x08 => b'b',
        b'\t' => b't',
        b'\n' => b'n',
        0x0c => b'f',
        b'\r' => b'r',
        0..0x20 => {
            let digits = [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 0xf)]];
            output.extend_from_slice(b"\\u00");
            return output.extend_from_slice(&digits);
        }
        _ => byte,
    };
    output.extend_from_slice(&[b'\\', short]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn values() -> impl Strategy<Value = Value> {
        let text = prop_oneof![".{0,80}", "[\\x00-\\x22\\\\é]{0,80}"];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            text.clone().prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((text.clone(), inner), 0..4)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    /// The value as a tree, down to `levels`.
    fn tree(value: &Value, levels: usize) -> Json<'_> {
        let mut json = Json::from(value);
        if levels == 0 {
            return json;
        }
        if let (Some(values), Value::Array(list)) = (json.list_mut(), value) {
            *values = list.iter().map(|value| tree(value, levels - 1)).collect();
        }
        if let (Some(object), Value::Object(fields)) = (json.object_mut(), value) {
            fields.iter().for_each(|(name, value)| object.set(name, tree(value, levels - 1)));
        }
        json
    }

    proptest! {
        #[test]
        fn bytes_equal_those_of_serde_json(value in values(), levels in 0..4usize) {
            prop_assert_eq!(serialize(&tree(&value, levels)), serde_json::to_vec(&value).unwrap());
        }
    }

    #[test]
    fn every_control_character_is_escaped() {
        let value = json!({"text": (0u8..=0x7f).map(char::from).collect::<String>()});
        assert_eq!(serialize(&Json::from(&value)), serde_json::to_vec(&value).unwrap());
    }
}
