//! Reads the headers of GGUF files, before an engine opens them.
//!
//! Engines trust their files: a flipped byte can abort the process, and a truncated file is noticed late. So this reads
//! the header with every length bounded, and compares the tensors' extents with the file's size. Format: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>, versions 2 and 3.

mod error;
mod reader;
mod tensor;

use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    io::{BufReader, Read},
    path::Path,
};

pub use error::GgufError;
use reader::Reader;
pub use reader::Value;
pub use tensor::GgufTensor;

/// Maximum number of tensors. No model has more.
const TENSORS_MAX_COUNT: u64 = 1 << 20;
/// Maximum number of metadata entries. Most models have less than a hundred.
const ENTRIES_MAX_COUNT: u64 = 1 << 14;

/// The header of a GGUF file.
#[derive(Debug, Clone)]
pub struct GgufHeader {
    /// The metadata by key.
    pub metadata: HashMap<String, Value>,
    /// The tensors by name.
    pub tensors: BTreeMap<String, GgufTensor>,
    /// The bytes of the tensors.
    pub tensor_bytes: u64,
    /// The bytes of the file.
    pub file_size: u64,
}

impl GgufHeader {
    /// Reads and checks the header of the file at `path`.
    ///
    /// # Errors
    /// If it can't be read, isn't GGUF, is truncated, or contradicts itself.
    pub fn read(path: &Path) -> Result<Self, GgufError> {
        let file = File::open(path)?;
        let file_size = file.metadata()?.len();
        let mut reader = Reader::new(BufReader::with_capacity(1 << 16, file), file_size);
        let magic = reader.bytes::<4>()?;
        if &magic != b"GGUF" {
            return Err(GgufError::NotGguf);
        }
        let version = reader.u32()?;
        if !(2..=3).contains(&version) {
            return Err(GgufError::Version(version));
        }
        let (tensors, entries) = (reader.u64()?, reader.u64()?);
        if tensors > TENSORS_MAX_COUNT || entries > ENTRIES_MAX_COUNT {
            return Err(GgufError::Corrupt(format!("{tensors} tensors and {entries} metadata entries")));
        }
        let mut metadata = HashMap::new();
        for _ in 0..entries {
            let key = reader.text()?;
            let kind = reader.u32()?;
            let value = reader.value_of(&key, kind)?;
            metadata.insert(key, value);
        }
        let (tensors, tensors_end) = read_tensors(&mut reader, tensors)?;
        let mut header = Self { metadata, tensors, tensor_bytes: 0, file_size };
        header.check_size(reader.position, tensors_end)?;
        Ok(header)
    }

    /// The text at a key of the metadata.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<&str> {
        match self.metadata.get(key) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// Checks that the file contains every tensor of the header.
    fn check_size(&mut self, header_end: u64, tensors_end: u64) -> Result<(), GgufError> {
        let alignment = match self.metadata.get("general.alignment") {
            Some(Value::Unsigned(n)) if n.is_power_of_two() => *n,
            Some(_) => return Err(GgufError::Corrupt("an alignment that is no power of two".to_owned())),
            None => 32,
        };
        let start = header_end.checked_next_multiple_of(alignment).unwrap_or(u64::MAX);
        let needed = start.saturating_add(tensors_end);
        // A file without tensors, as the first part of a split model may be, needs no padding.
        if self.file_size < if tensors_end == 0 { header_end } else { needed } {
            return Err(GgufError::Truncated { actual: self.file_size, needed });
        }
        self.tensor_bytes = self.file_size.saturating_sub(start);
        Ok(())
    }
}

/// Reads the tensors, and the end of the last one relative to the start of the first.
fn read_tensors(
    reader: &mut Reader<impl Read>,
    count: u64,
) -> Result<(BTreeMap<String, GgufTensor>, u64), GgufError> {
    let (mut tensors, mut end) = (BTreeMap::new(), 0);
    for _ in 0..count {
        let (name, tensor, tensor_end) = tensor::read(reader)?;
        end = end.max(tensor_end);
        tensors.insert(name, tensor);
    }
    Ok((tensors, end))
}
