//! Reading JSON as it is written: a value's end is known at its last byte, without recursion and
//! without reading anything twice.

/// Follows one JSON value, byte by byte.
#[derive(Debug, Clone)]
pub(super) struct JsonScanner {
    /// The containers that are open; `true` for an object.
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
    /// In `\u0000`, with this many digits to come.
    Hex {
        key: bool,
        left: u8,
    },
    Scalar,
}

/// What a byte did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scanned {
    /// The value goes on.
    More,
    /// The value ends with this byte.
    End,
    /// No JSON has this byte here.
    Invalid,
}

/// A number that is longer is none that anybody meant.
const LONGEST_SCALAR: usize = 400;

impl JsonScanner {
    pub(super) fn new() -> Self {
        Self { open: Vec::new(), state: State::Value, scalar: String::new() }
    }

    /// Takes the next byte. A number outside of any container has no end of its own, and is invalid.
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
                if self.scalar.len() > LONGEST_SCALAR {
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

fn is_scalar(text: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

/// Reads from the beginning of a text that may not be all there yet.
#[derive(Debug, Clone)]
pub(super) struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

/// Why a cursor can't go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// The text ends here; with more of it, it may go on.
    More,
    /// The text has something else here.
    Other,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// How many bytes were read.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// Skips white space.
    pub(super) fn space(&mut self) -> &mut Self {
        self.at += self.rest().len() - self.rest().trim_start().len();
        self
    }

    /// The next character, which isn't read yet.
    pub(super) fn peek(&self) -> Result<char, Stop> {
        self.rest().chars().next().ok_or(Stop::More)
    }

    /// Reads a character.
    pub(super) fn next(&mut self) -> Result<char, Stop> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Ok(next)
    }

    /// Reads characters, at least one, until one that `part` refuses.
    pub(super) fn run(&mut self, part: impl Fn(char) -> bool) -> Result<&'a str, Stop> {
        let rest = self.rest();
        let length = rest.find(|c| !part(c)).ok_or(Stop::More)?;
        self.at += length;
        if length == 0 { Err(Stop::Other) } else { Ok(&rest[..length]) }
    }

    /// Reads `literal`.
    pub(super) fn literal(&mut self, literal: &str) -> Result<(), Stop> {
        if self.rest().starts_with(literal) {
            self.at += literal.len();
            Ok(())
        } else if literal.starts_with(self.rest()) {
            Err(Stop::More)
        } else {
            Err(Stop::Other)
        }
    }

    /// Reads `literal` after any white space, or nothing if it isn't there.
    pub(super) fn maybe(&mut self, literal: &str) -> Result<bool, Stop> {
        let mut ahead = self.clone();
        match ahead.space().literal(literal) {
            Ok(()) => {
                *self = ahead;
                Ok(true)
            }
            Err(Stop::More) => Err(Stop::More),
            Err(Stop::Other) => Ok(false),
        }
    }

    /// Reads up to `end`, and over it.
    pub(super) fn until(&mut self, end: &str) -> Result<&'a str, Stop> {
        let length = self.rest().find(end).ok_or(Stop::More)?;
        let text = &self.rest()[..length];
        self.at += length + end.len();
        Ok(text)
    }

    /// Reads a JSON string.
    pub(super) fn string(&mut self) -> Result<String, Stop> {
        if self.peek()? != '"' {
            return Err(Stop::Other);
        }
        serde_json::from_str(self.value()?).map_err(|_| Stop::Other)
    }

    /// Reads a JSON value.
    pub(super) fn value(&mut self) -> Result<&'a str, Stop> {
        let rest = self.rest();
        let length = if matches!(self.peek()?, '{' | '[' | '"') {
            let mut scanner = JsonScanner::new();
            rest.bytes()
                .zip(1..)
                .find_map(|(byte, length)| match scanner.push(byte) {
                    Scanned::More => None,
                    Scanned::End => Some(Ok(length)),
                    Scanned::Invalid => Some(Err(Stop::Other)),
                })
                .ok_or(Stop::More)??
        } else {
            let scalar = self.clone().run(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))?;
            if !is_scalar(scalar) {
                return Err(Stop::Other);
            }
            scalar.len()
        };
        self.at += length;
        Ok(&rest[..length])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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
    fn a_value_ends_at_its_last_byte() {
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
    fn what_is_no_json_is_noticed_where_it_stops_to_be() {
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
    fn depth_costs_no_stack() {
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
        fn every_json_is_read_whole(value in json(), pretty: bool) {
            let value = serde_json::json!([value]);
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
            let text = text.unwrap();
            prop_assert_eq!(scan(&text), (text.len(), Scanned::End));
            let mut cursor = Cursor::new(&text);
            prop_assert_eq!(cursor.value(), Ok(text.as_str()));
        }
    }
}
