//! Serialises request bodies.
//!
//! `serde_json` looks up each byte of a string in a table. In a long conversation nearly all bytes need no escape, so a
//! block of bytes is checked at once here, in a form that compilers turn into vector instructions.

use serde_json::Value;

/// Bytes that are checked together.
const BLOCK_BYTES: usize = 32;

/// Serialises a value, with the same bytes as `serde_json::to_vec`.
pub(crate) fn serialize(value: &Value) -> Vec<u8> {
    let mut output = Vec::new();
    write_value(value, &mut output);
    output
}

fn write_value(value: &Value, output: &mut Vec<u8>) {
    match value {
        Value::Null => output.extend_from_slice(b"null"),
        Value::Bool(value) => output.extend_from_slice(if *value { b"true" } else { b"false" }),
        Value::Number(number) => output.extend_from_slice(number.to_string().as_bytes()),
        Value::String(text) => write_string(text, output),
        Value::Array(values) => {
            output.push(b'[');
            for (index, value) in values.iter().enumerate() {
                if index > 0 {
                    output.push(b',');
                }
                write_value(value, output);
            }
            output.push(b']');
        }
        Value::Object(fields) => {
            output.push(b'{');
            for (index, (name, value)) in fields.iter().enumerate() {
                if index > 0 {
                    output.push(b',');
                }
                write_string(name, output);
                output.push(b':');
                write_value(value, output);
            }
            output.push(b'}');
        }
    }
}

/// Writes a string with the escapes of RFC 8259, section 7.
fn write_string(text: &str, output: &mut Vec<u8>) {
    output.reserve(text.len() + 2);
    output.push(b'"');
    for block in text.as_bytes().chunks(BLOCK_BYTES) {
        // Without a branch for each byte.
        if block.iter().fold(false, |any, byte| any | needs_escape(*byte)) {
            block.iter().for_each(|byte| write_byte(*byte, output));
        } else {
            output.extend_from_slice(block);
        }
    }
    output.push(b'"');
}

const fn needs_escape(byte: u8) -> bool {
    (byte < 0x20) | (byte == b'"') | (byte == b'\\')
}

fn write_byte(byte: u8, output: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let short = match byte {
        b'"' | b'\\' => byte,
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
        _ => return output.push(byte),
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

    proptest! {
        #[test]
        fn bytes_equal_those_of_serde_json(value in values()) {
            prop_assert_eq!(serialize(&value), serde_json::to_vec(&value).unwrap());
        }
    }

    #[test]
    fn every_control_character_is_escaped() {
        let value = json!({"text": (0u8..=0x7f).map(char::from).collect::<String>()});
        assert_eq!(serialize(&value), serde_json::to_vec(&value).unwrap());
    }
}
