//! Bounded little-endian reads. Each length in a header is checked before it is used.

use std::io::{self, Read};

use super::error::GgufError;

/// Maximum length of a text in a header. The longest are chat templates, with tens of kilobytes.
const STRING_MAX_BYTES: u64 = 16 << 20;
/// Longer texts are cut to this length: names, architectures and the like are listed, stored and logged.
const TEXT_MAX_BYTES: u64 = 256;
/// Maximum length of a chat template. A longer one is an error: a template that is cut would render wrong prompts.
const TEMPLATE_MAX_BYTES: u64 = 1 << 20;
/// The key whose value is the chat template.
const TEMPLATE_KEY: &str = "tokenizer.chat_template";
/// Maximum length of an array in a header. The longest are vocabularies, with hundreds of thousands of items.
const ARRAY_MAX_COUNT: u64 = 1 << 24;
/// Maximum length of an array of integers that is read: those with a number for each layer are shorter.
const NUMBERS_MAX_COUNT: u64 = 1024;

/// A metadata value. Most arrays are counted and skipped, since only engines need their contents.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// An unsigned integer.
    Unsigned(u64),
    /// A signed integer.
    Signed(i64),
    /// A number with a fraction.
    Float(f64),
    /// A truth value.
    Bool(bool),
    /// A text, cut to 256 bytes unless it is the chat template.
    Text(String),
    /// A short array of integers or booleans. Negative numbers are read as 0, and `true` as 1.
    Numbers(Vec<u64>),
    /// The length of any other array.
    Array(u64),
}

impl Value {
    /// The value as an integer, if it is one and isn't negative.
    #[must_use]
    pub fn number(&self) -> Option<u64> {
        match self {
            Self::Unsigned(number) => Some(*number),
            Self::Signed(number) => u64::try_from(*number).ok(),
            Self::Bool(value) => Some(u64::from(*value)),
            _ => None,
        }
    }
}

pub(super) struct Reader<R> {
    inner: R,
    pub(super) position: u64,
    file_size: u64,
}

impl<R: Read> Reader<R> {
    pub(super) fn new(inner: R, file_size: u64) -> Self {
        Self { inner, position: 0, file_size }
    }

    pub(super) fn bytes<const N: usize>(&mut self) -> Result<[u8; N], GgufError> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, GgufError> {
        self.bytes().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, GgufError> {
        self.bytes().map(u64::from_le_bytes)
    }

    /// Reads a text, cut to [`TEXT_MAX_BYTES`].
    pub(super) fn text(&mut self) -> Result<String, GgufError> {
        let length = self.text_length()?;
        let read = length.min(TEXT_MAX_BYTES);
        let text = self.text_of(read)?;
        self.skip(length - read)?;
        // The cut may split a character.
        let whole = if read < length { text.trim_end_matches(char::REPLACEMENT_CHARACTER) } else { &text };
        Ok(whole.to_owned())
    }

    /// Reads a chat template, which is never cut.
    fn template(&mut self) -> Result<String, GgufError> {
        let length = self.text_length()?;
        if length > TEMPLATE_MAX_BYTES {
            return Err(GgufError::LongTemplate);
        }
        self.text_of(length)
    }

    fn text_length(&mut self) -> Result<u64, GgufError> {
        let length = self.u64()?;
        if length > STRING_MAX_BYTES {
            return Err(GgufError::Corrupt(format!("a text of {length} bytes in the header")));
        }
        Ok(length)
    }

    fn text_of(&mut self, length: u64) -> Result<String, GgufError> {
        let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
        self.fill(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Reads the value of `key`.
    pub(super) fn value_of(&mut self, key: &str, kind: u32) -> Result<Value, GgufError> {
        if kind == 8 && key == TEMPLATE_KEY {
            return self.template().map(Value::Text);
        }
        self.value(kind)
    }

    fn value(&mut self, kind: u32) -> Result<Value, GgufError> {
        Ok(match kind {
            0 => Value::Unsigned(u64::from(self.bytes::<1>()?[0])),
            1 => Value::Signed(i64::from(i8::from_le_bytes(self.bytes()?))),
            2 => Value::Unsigned(u64::from(u16::from_le_bytes(self.bytes()?))),
            3 => Value::Signed(i64::from(i16::from_le_bytes(self.bytes()?))),
            4 => Value::Unsigned(u64::from(self.u32()?)),
            5 => Value::Signed(i64::from(i32::from_le_bytes(self.bytes()?))),
            6 => Value::Float(f64::from(f32::from_le_bytes(self.bytes()?))),
            7 => Value::Bool(self.bytes::<1>()?[0] != 0),
            8 => Value::Text(self.text()?),
            9 => self.array()?,
            10 => Value::Unsigned(self.u64()?),
            11 => Value::Signed(i64::from_le_bytes(self.bytes()?)),
            12 => Value::Float(f64::from_le_bytes(self.bytes()?)),
            other => return Err(GgufError::Corrupt(format!("a value of unknown type {other}"))),
        })
    }

    fn array(&mut self) -> Result<Value, GgufError> {
        let kind = self.u32()?;
        let items = self.u64()?;
        if items > ARRAY_MAX_COUNT {
            return Err(GgufError::Corrupt(format!("an array of {items} items in the header")));
        }
        let width = match kind {
            0..=5 | 7 | 10 | 11 if items <= NUMBERS_MAX_COUNT => return self.numbers(kind, items),
            0 | 1 | 7 => 1,
            2 | 3 => 2,
            4..=6 => 4,
            10..=12 => 8,
            8 => {
                for _ in 0..items {
                    let length = self.text_length()?;
                    self.skip(length)?;
                }
                return Ok(Value::Array(items));
            }
            other => return Err(GgufError::Corrupt(format!("an array of items of type {other}"))),
        };
        self.skip(items * width)?;
        Ok(Value::Array(items))
    }

    fn numbers(&mut self, kind: u32, items: u64) -> Result<Value, GgufError> {
        let numbers = (0..items).map(|_| Ok(self.value(kind)?.number().unwrap_or(0)));
        numbers.collect::<Result<_, GgufError>>().map(Value::Numbers)
    }

    fn skip(&mut self, count: u64) -> Result<(), GgufError> {
        let skipped = io::copy(&mut (&mut self.inner).take(count), &mut io::sink())?;
        self.position += skipped;
        if skipped < count { Err(self.truncated(count - skipped)) } else { Ok(()) }
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), GgufError> {
        match self.inner.read_exact(bytes) {
            Ok(()) => {
                self.position += bytes.len() as u64;
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(self.truncated(bytes.len() as u64))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn truncated(&self, more: u64) -> GgufError {
        GgufError::Truncated { actual: self.file_size, needed: self.position.saturating_add(more) }
    }
}
