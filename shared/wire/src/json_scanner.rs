//! Scanner for the end of a JSON value that arrives in pieces, so that it isn't parsed again for each piece.

/// Scanner of one JSON object or array. It checks brackets and strings alone, so a value that it calls complete may
/// still be invalid JSON.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct JsonScanner {
    depth: usize,
    in_string: bool,
    after_backslash: bool,
    begun: bool,
    complete: bool,
}

impl JsonScanner {
    /// Reads the next bytes. Returns the number of bytes up to and including the value's last one, if it is among
    /// them; later bytes aren't read.
    pub fn push(&mut self, bytes: &[u8]) -> Option<usize> {
        if self.complete {
            return None;
        }
        let mut place = 0;
        while let Some(byte) = bytes.get(place) {
            if self.in_string && !self.after_backslash {
                // Nothing within a string counts but its end, and what keeps a quote from being that.
                place += memchr::memchr2(b'"', b'\\', &bytes[place..])?;
                self.step(bytes[place]);
            } else {
                self.step(*byte);
            }
            place += 1;
            if self.complete {
                return Some(place);
            }
        }
        None
    }

    /// Returns whether the closing bracket of the outermost object or array was read.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// Returns whether anything but whitespace was read.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.begun
    }

    fn step(&mut self, byte: u8) {
        self.begun |= !byte.is_ascii_whitespace();
        if self.in_string {
            match byte {
                _ if self.after_backslash => self.after_backslash = false,
                b'\\' => self.after_backslash = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return;
        }
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                self.complete = self.depth == 0;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn brackets_and_quotes_in_strings_do_not_count() {
        let text = r#"{"a":"}\"]{","b":[{}]} {"#;
        assert_eq!(JsonScanner::default().push(text.as_bytes()), Some(text.len() - 2));
    }

    #[test]
    fn whitespace_has_not_begun_and_an_open_object_is_not_complete() {
        let mut scanner = JsonScanner::default();
        assert_eq!(scanner.push(b" \n"), None);
        assert!(!scanner.has_begun());
        assert_eq!(scanner.push(b"{\"a\":"), None);
        assert!(scanner.has_begun() && !scanner.is_complete());
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![any::<i32>().prop_map(Value::from), any::<String>().prop_map(Value::from)];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((any::<String>(), inner), 0..4)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_end_is_found_wherever_the_text_is_cut(value in value(), cut in any::<usize>()) {
            let text = json!([value]).to_string();
            let (one, other) = text.as_bytes().split_at(cut % text.len());
            let mut scanner = JsonScanner::default();
            prop_assert_eq!(scanner.push(one), None);
            prop_assert_eq!(scanner.push(other), Some(other.len()));
        }
    }
}
