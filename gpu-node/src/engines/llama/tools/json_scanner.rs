//! Finds the end of a JSON value in streamed text, at its last byte, without recursion and without reading a byte
//! twice.

/// Scanner of one JSON value.
#[derive(Debug, Clone)]
pub(super) struct JsonScanner {
    /// The open containers; `true` for an object.
    open: Vec<bool>,
    state: State,
    /// The number or word that is being read.
    scalar: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Value,
    /// After `[`: a value, or the end.
    FirstItem,
    /// After `{`: a key, or the end.
    FirstKey,
    Key,
    Colon,
    /// After a value: a comma, or the end.
    Next,
    Text {
        key: bool,
    },
    /// After a backslash.
    Escape {
        key: bool,
    },
    /// In `\u0000`, with `left` digits to come.
    Hex {
        key: bool,
        left: u8,
    },
    Scalar,
}

/// Result of a byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scanned {
    /// The value continues.
    More,
    /// The value ends with this byte.
    End,
    /// JSON doesn't allow this byte here.
    Invalid,
}

/// Maximum size of a number or word, in bytes.
const SCALAR_MAX_BYTES: usize = 400;

impl JsonScanner {
    pub(super) fn new() -> Self {
        Self { open: Vec::new(), state: State::Value, scalar: String::new() }
    }

    /// Scans the next byte. A number outside of a container is invalid, since its end can't be seen.
    pub(super) fn push(&mut self, byte: u8) -> Scanned {
        let next = match self.state {
            State::Text { key } => match byte {
                b'"' if key => State::Colon,
                b'"' => return self.end_value(),
                b'\\' => State::Escape { key },
                0..0x20 => return Scanned::Invalid,
                _ => State::Text { key },
            },
            State::Escape { key } => match byte {
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => State::Text { key },
                b'u' => State::Hex { key, left: 4 },
                _ => return Scanned::Invalid,
            },
            State::Hex { key, left } if byte.is_ascii_hexdigit() => match left {
                1 => State::Text { key },
                _ => State::Hex { key, left: left - 1 },
            },
            State::Hex { .. } => return Scanned::Invalid,
            State::Scalar if byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.') => {
                self.scalar.push(char::from(byte));
                if self.scalar.len() > SCALAR_MAX_BYTES {
                    return Scanned::Invalid;
                }
                State::Scalar
            }
            State::Scalar => {
                if !is_scalar(&self.scalar) {
                    return Scanned::Invalid;
                }
                self.state = State::Next;
                return self.push(byte);
            }
            state if matches!(byte, b' ' | b'\t' | b'\n' | b'\r') => state,
            State::FirstItem if byte == b']' => return self.close(false),
            State::Value | State::FirstItem => return self.begin_value(byte),
            State::FirstKey if byte == b'}' => return self.close(true),
            State::FirstKey | State::Key if byte == b'"' => State::Text { key: true },
            State::Colon if byte == b':' => State::Value,
            State::Next => match (byte, self.open.last()) {
                (b',', Some(true)) => State::Key,
                (b',', Some(false)) => State::Value,
                (b'}', _) => return self.close(true),
                (b']', _) => return self.close(false),
                _ => return Scanned::Invalid,
            },
            _ => return Scanned::Invalid,
        };
        self.state = next;
        Scanned::More
    }

    fn begin_value(&mut self, byte: u8) -> Scanned {
        self.state = match byte {
            b'{' => {
                self.open.push(true);
                State::FirstKey
            }
            b'[' => {
                self.open.push(false);
                State::FirstItem
            }
            b'"' => State::Text { key: false },
            b'-' | b'0'..=b'9' | b't' | b'f' | b'n' if !self.open.is_empty() => {
                self.scalar.clear();
                self.scalar.push(char::from(byte));
                State::Scalar
            }
            _ => return Scanned::Invalid,
        };
        Scanned::More
    }

    fn close(&mut self, object: bool) -> Scanned {
        if self.open.pop() == Some(object) { self.end_value() } else { Scanned::Invalid }
    }

    fn end_value(&mut self) -> Scanned {
        self.state = State::Next;
        if self.open.is_empty() { Scanned::End } else { Scanned::More }
    }
}

pub(super) fn is_scalar(text: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::cursor::Cursor, *};

    fn scan(text: &str) -> (usize, Scanned) {
        let mut scanner = JsonScanner::new();
        for (at, byte) in text.bytes().enumerate() {
            let scanned = scanner.push(byte);
            if scanned != Scanned::More {
                return (at + 1, scanned);
            }
        }
        (text.len(), Scanned::More)
    }

    #[test]
    fn value_ends_at_its_last_byte() {
        for (text, length) in [
            (r#"{} x"#, 2),
            (r#"{"a":[1,-2.5e3,true,null,"]}\"\\\u00e9"],"b":{}}}"#, 48),
            (r#"[ ] ]"#, 3),
            (" \"a\"b", 4),
        ] {
            assert_eq!(scan(text), (length, Scanned::End), "{text}");
        }
    }

    #[test]
    fn invalid_json_is_reported_at_its_first_invalid_byte() {
        for (text, at) in [
            ("{a", 2),
            (r#"{"a" 1"#, 6),
            (r#"{"a":1,}"#, 8),
            ("[1 2", 4),
            ("[1}", 3),
            ("[nul]", 5),
            ("[01]", 4),
            ("1", 1),
            ("\"\n", 2),
            (r#"["\x"#, 4),
            (r#"["\u12g"#, 7),
            ("}", 1),
        ] {
            assert_eq!(scan(text), (at, Scanned::Invalid), "{text}");
        }
    }

    #[test]
    fn deep_nesting_needs_no_stack() {
        let deep = "[".repeat(200_000) + &"]".repeat(200_000);
        assert_eq!(scan(&deep), (deep.len(), Scanned::End));
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<f64>().prop_map(Into::into),
            any::<String>().prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
                prop::collection::hash_map(any::<String>(), inner, 0..4)
                    .prop_map(|map| map.into_iter().collect::<serde_json::Map<_, _>>().into()),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_json_is_read_to_its_end(value in json(), pretty: bool) {
            let value = serde_json::json!([value]);
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
            let text = text.unwrap();
            prop_assert_eq!(scan(&text), (text.len(), Scanned::End));
            let mut cursor = Cursor::new(&text);
            prop_assert_eq!(cursor.value(), Ok(text.as_str()));
        }
    }
}
