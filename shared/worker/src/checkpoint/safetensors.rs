//! The header of a safetensors file: a length in eight bytes, a JSON object of tensors, and the tensors' bytes
//! (<https://github.com/huggingface/safetensors#format>).

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read as _},
    path::Path,
};

use serde::Deserialize;
use serde_json::Value;

/// Limit of the bytes of a header. The format's own limit is 100 MB; the largest image model has 1 MB.
const HEADER_MAX_BYTES: u64 = 32 << 20;
/// Limit of the number of dimensions of a tensor.
const DIMENSIONS_MAX_COUNT: usize = 6;
/// The entry of a header that is no tensor.
const METADATA: &str = "__metadata__";

/// A reason why a header can't be used.
#[derive(Debug, thiserror::Error)]
pub enum SafetensorsError {
    /// The file can't be read.
    #[error("its file can't be read: {0}")]
    Io(#[from] io::Error),
    /// The file ends before its tensors do.
    #[error("its file has {actual} bytes and needs {needed}: its download or copy is unfinished")]
    Truncated {
        /// Bytes of the file.
        actual: u64,
        /// Bytes that its header needs.
        needed: u64,
    },
    /// The header contradicts itself.
    #[error("its safetensors header is damaged: {0}")]
    Corrupt(String),
}

/// A tensor in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredTensor {
    /// The type of its numbers by the format's name, such as `F16`.
    pub dtype: String,
    /// Its dimensions.
    pub shape: Vec<usize>,
    /// Offset of its bytes in the file.
    pub offset: u64,
    /// Its bytes.
    pub bytes: usize,
}

/// The tensors of a file by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SafetensorsHeader {
    /// The tensors.
    pub tensors: BTreeMap<String, StoredTensor>,
}

#[derive(Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: (u64, u64),
}

impl SafetensorsHeader {
    /// Reads and checks the header of the file at `path`.
    ///
    /// # Errors
    /// If it can't be read, is truncated, or contradicts itself.
    pub fn read(path: &Path) -> Result<Self, SafetensorsError> {
        let mut file = File::open(path)?;
        let actual = file.metadata()?.len();
        let mut length = [0; 8];
        if actual < 8 {
            return Err(SafetensorsError::Truncated { actual, needed: 8 });
        }
        file.read_exact(&mut length)?;
        let length = u64::from_le_bytes(length);
        if length > HEADER_MAX_BYTES {
            return Err(SafetensorsError::Corrupt(format!("a header of {length} bytes")));
        }
        let start = 8 + length;
        if actual < start {
            return Err(SafetensorsError::Truncated { actual, needed: start });
        }
        let mut json = Vec::new();
        file.take(length).read_to_end(&mut json)?;
        let entries: BTreeMap<String, Value> =
            serde_json::from_slice(&json).map_err(|error| SafetensorsError::Corrupt(error.to_string()))?;
        let mut header = Self::default();
        let mut needed = start;
        for (name, value) in entries.into_iter().filter(|(name, _)| name != METADATA) {
            let tensor = tensor(&name, value, start)?;
            needed = needed.max(tensor.offset.saturating_add(tensor.bytes as u64));
            header.tensors.insert(name, tensor);
        }
        if actual < needed {
            return Err(SafetensorsError::Truncated { actual, needed });
        }
        Ok(header)
    }

    /// Returns whether a tensor's name begins with `prefix`.
    #[must_use]
    pub fn has_prefix(&self, prefix: &str) -> bool {
        self.tensors.range(prefix.to_owned()..).next().is_some_and(|(name, _)| name.starts_with(prefix))
    }

    /// Number of weights.
    #[must_use]
    pub fn weights(&self) -> u64 {
        self.tensors.values().fold(0, |sum, tensor| sum.saturating_add(tensor.weights()))
    }

    /// The type of most weights.
    #[must_use]
    pub fn precision(&self) -> Option<&str> {
        let mut weights: BTreeMap<&str, u64> = BTreeMap::new();
        for tensor in self.tensors.values() {
            let sum = weights.entry(&tensor.dtype).or_default();
            *sum = sum.saturating_add(tensor.weights());
        }
        weights.into_iter().max_by_key(|(_, weights)| *weights).map(|(dtype, _)| dtype)
    }
}

impl StoredTensor {
    fn weights(&self) -> u64 {
        self.shape.iter().fold(1, |product, side| product.saturating_mul(*side as u64))
    }
}

fn tensor(name: &str, value: Value, start: u64) -> Result<StoredTensor, SafetensorsError> {
    let corrupt = |problem: &str| SafetensorsError::Corrupt(format!("the tensor {name:?} {problem}"));
    let Entry { dtype, shape, data_offsets: (begin, end) } =
        serde_json::from_value(value).map_err(|error| corrupt(&error.to_string()))?;
    if shape.len() > DIMENSIONS_MAX_COUNT {
        return Err(corrupt("has too many dimensions"));
    }
    let bytes = end.checked_sub(begin).ok_or_else(|| corrupt("ends before it begins"))?;
    let number_bytes =
        number_bytes(&dtype).ok_or_else(|| corrupt(&format!("has the unknown type {dtype:?}")))?;
    let numbers = shape.iter().try_fold(number_bytes, |product, side| product.checked_mul(*side));
    if numbers != Some(bytes) {
        return Err(corrupt("has another size than its shape"));
    }
    let offset = start.checked_add(begin).ok_or_else(|| corrupt("lies outside of any file"))?;
    let in_memory = |n: u64| usize::try_from(n).map_err(|_| corrupt("is larger than any memory"));
    let shape = shape.into_iter().map(in_memory).collect::<Result<_, _>>()?;
    Ok(StoredTensor { dtype, shape, offset, bytes: in_memory(bytes)? })
}

fn number_bytes(dtype: &str) -> Option<u64> {
    Some(match dtype {
        "F64" | "I64" | "U64" => 8,
        "F32" | "I32" | "U32" => 4,
        "F16" | "BF16" | "I16" | "U16" => 2,
        "F8_E4M3" | "F8_E5M2" | "I8" | "U8" | "BOOL" => 1,
        _ => return None,
    })
}
