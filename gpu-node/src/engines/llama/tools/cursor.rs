//! A cursor over text that may not be complete yet.

use super::json_scanner::{JsonScanner, Scanned, is_scalar};

/// A position in a text that may go on.
#[derive(Debug, Clone)]
pub(super) struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

/// Why a cursor can't read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CursorError {
    /// The text ends here. With more text, reading may succeed.
    Incomplete,
    /// The text has something else here.
    Mismatch,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// Number of bytes that were read.
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

    /// The next character, without reading it.
    pub(super) fn peek(&self) -> Result<char, CursorError> {
        self.rest().chars().next().ok_or(CursorError::Incomplete)
    }

    /// Reads a character.
    pub(super) fn next(&mut self) -> Result<char, CursorError> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Ok(next)
    }

    /// Reads characters for which `accepts` is true, at least one.
    pub(super) fn run(&mut self, accepts: impl Fn(char) -> bool) -> Result<&'a str, CursorError> {
        let rest = self.rest();
        let length = rest.find(|c| !accepts(c)).ok_or(CursorError::Incomplete)?;
        self.at += length;
        if length == 0 { Err(CursorError::Mismatch) } else { Ok(&rest[..length]) }
    }

    /// Reads `literal`.
    pub(super) fn literal(&mut self, literal: &str) -> Result<(), CursorError> {
        if self.rest().starts_with(literal) {
            self.at += literal.len();
            Ok(())
        } else if literal.starts_with(self.rest()) {
            Err(CursorError::Incomplete)
        } else {
            Err(CursorError::Mismatch)
        }
    }

    /// Reads white space and `literal`, or nothing if `literal` isn't there. Returns whether it was.
    pub(super) fn maybe(&mut self, literal: &str) -> Result<bool, CursorError> {
        let mut ahead = self.clone();
        match ahead.space().literal(literal) {
            Ok(()) => {
                *self = ahead;
                Ok(true)
            }
            Err(CursorError::Incomplete) => Err(CursorError::Incomplete),
            Err(CursorError::Mismatch) => Ok(false),
        }
    }

    /// Reads up to and including `end`. Returns the text before it.
    pub(super) fn until(&mut self, end: &str) -> Result<&'a str, CursorError> {
        let length = self.rest().find(end).ok_or(CursorError::Incomplete)?;
        let text = &self.rest()[..length];
        self.at += length + end.len();
        Ok(text)
    }

    /// Reads a JSON string.
    pub(super) fn string(&mut self) -> Result<String, CursorError> {
        if self.peek()? != '"' {
            return Err(CursorError::Mismatch);
        }
        serde_json::from_str(self.value()?).map_err(|_| CursorError::Mismatch)
    }

    /// Reads a JSON value.
    pub(super) fn value(&mut self) -> Result<&'a str, CursorError> {
        let rest = self.rest();
        let length = if matches!(self.peek()?, '{' | '[' | '"') {
            let mut scanner = JsonScanner::new();
            rest.bytes()
                .zip(1..)
                .find_map(|(byte, length)| match scanner.push(byte) {
                    Scanned::More => None,
                    Scanned::End => Some(Ok(length)),
                    Scanned::Invalid => Some(Err(CursorError::Mismatch)),
                })
                .ok_or(CursorError::Incomplete)??
        } else {
            let scalar = self.clone().run(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))?;
            if !is_scalar(scalar) {
                return Err(CursorError::Mismatch);
            }
            scalar.len()
        };
        self.at += length;
        Ok(&rest[..length])
    }
}
