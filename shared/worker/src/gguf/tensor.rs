//! A tensor in a header, and the block sizes of ggml's tensor types, from the type traits in `ggml.c`.
//!
//! Only the engine checks types that aren't listed.

use std::io::Read;

use super::{error::GgufError, reader::Reader};

/// Maximum number of dimensions of a tensor: ggml's limit.
const DIMENSIONS_MAX_COUNT: u32 = 4;

/// A tensor in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GgufTensor {
    /// The number of its type.
    pub kind: u32,
    /// Its dimensions, the outermost first, as other formats have them: the file has the innermost first.
    pub shape: Vec<u64>,
    /// Number of its weights.
    pub weights: u64,
    /// Its bytes; `None` if its type isn't listed, or the weights don't fill whole blocks.
    pub bytes: Option<u64>,
}

impl GgufTensor {
    /// The name of its type, such as `Q4_K`; `None` if the type isn't listed.
    #[must_use]
    pub fn type_name(&self) -> Option<&'static str> {
        block(self.kind).map(|(name, ..)| name)
    }
}

/// Reads the entry of a tensor: its name, the tensor, and the end of its bytes.
pub(super) fn read(reader: &mut Reader<impl Read>) -> Result<(String, GgufTensor, u64), GgufError> {
    let name = reader.text()?;
    let dimensions = reader.u32()?;
    if dimensions > DIMENSIONS_MAX_COUNT {
        return Err(GgufError::Corrupt(format!("tensor {name:?} has {dimensions} dimensions")));
    }
    let (mut shape, mut weights) = (Vec::new(), 1_u64);
    for _ in 0..dimensions {
        let dimension = reader.u64()?;
        weights = weights
            .checked_mul(dimension)
            .ok_or_else(|| GgufError::Corrupt(format!("tensor {name:?} is larger than any file")))?;
        shape.push(dimension);
    }
    shape.reverse();
    let (kind, offset) = (reader.u32()?, reader.u64()?);
    let bytes = bytes(kind, weights);
    let end = offset
        .checked_add(bytes.unwrap_or(0))
        .ok_or_else(|| GgufError::Corrupt(format!("tensor {name:?} ends outside of any file")))?;
    Ok((name, GgufTensor { kind, shape, weights, bytes }, end))
}

/// Returns a type's name, its weights per block, and its bytes per block.
fn block(kind: u32) -> Option<(&'static str, u64, u64)> {
    Some(match kind {
        0 => ("F32", 1, 4),
        1 => ("F16", 1, 2),
        2 => ("Q4_0", 32, 18),
        3 => ("Q4_1", 32, 20),
        6 => ("Q5_0", 32, 22),
        7 => ("Q5_1", 32, 24),
        8 => ("Q8_0", 32, 34),
        9 => ("Q8_1", 32, 36),
        10 => ("Q2_K", 256, 84),
        11 => ("Q3_K", 256, 110),
        12 => ("Q4_K", 256, 144),
        13 => ("Q5_K", 256, 176),
        14 => ("Q6_K", 256, 210),
        15 => ("Q8_K", 256, 292),
        16 => ("IQ2_XXS", 256, 66),
        17 => ("IQ2_XS", 256, 74),
        18 => ("IQ3_XXS", 256, 98),
        19 => ("IQ1_S", 256, 50),
        20 => ("IQ4_NL", 32, 18),
        21 => ("IQ3_S", 256, 110),
        22 => ("IQ2_S", 256, 82),
        23 => ("IQ4_XS", 256, 136),
        29 => ("IQ1_M", 256, 56),
        30 => ("BF16", 1, 2),
        34 => ("TQ1_0", 256, 54),
        35 => ("TQ2_0", 256, 66),
        39 => ("MXFP4", 32, 17),
        40 => ("NVFP4", 64, 36),
        41 => ("Q1_0", 128, 18),
        42 => ("Q2_0", 64, 18),
        _ => return None,
    })
}

/// Returns the bytes of `weights` weights of a type, if the type is listed and the weights fill whole blocks.
fn bytes(kind: u32, weights: u64) -> Option<u64> {
    let (_, per_block, block_bytes) = block(kind)?;
    weights.is_multiple_of(per_block).then(|| (weights / per_block).checked_mul(block_bytes)).flatten()
}
