//! Vectors as base64 text in JSON, for `#[serde(with = ...)]`: the numbers' bytes, 32 bits each, little-endian. This is
//! exact, and a third of the size of decimal digits.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

/// Encodes a vector.
pub(crate) fn encode(vector: &[f32]) -> String {
    let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
    STANDARD.encode(bytes)
}

pub(crate) fn serialize<S: Serializer>(vector: &[f32], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&encode(vector))
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f32>, D::Error> {
    let bytes = STANDARD.decode(String::deserialize(deserializer)?).map_err(D::Error::custom)?;
    let (numbers, rest) = bytes.as_chunks();
    if !rest.is_empty() {
        return Err(D::Error::custom("a vector of 32-bit numbers has a multiple of 4 bytes"));
    }
    Ok(numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
}
