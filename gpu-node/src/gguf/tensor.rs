//! The block sizes of ggml's tensor types, from the type traits in `ggml.c`.
//!
//! Only llama.cpp checks types that aren't listed.

/// Returns a type's name, its weights per block, and its bytes per block.
pub(super) fn block(kind: u32) -> Option<(&'static str, u64, u64)> {
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
        20 => ("IQ4_NL", 32, 18),
        21 => ("IQ3_S", 256, 110),
        22 => ("IQ2_S", 256, 82),
        23 => ("IQ4_XS", 256, 136),
        30 => ("BF16", 1, 2),
        39 => ("MXFP4", 32, 17),
        _ => return None,
    })
}

/// Returns the bytes of `weights` weights of a type, if the type is listed and the weights fill whole blocks.
pub(super) fn bytes(kind: u32, weights: u64) -> Option<u64> {
    let (_, per_block, block_bytes) = block(kind)?;
    weights.is_multiple_of(per_block).then(|| (weights / per_block).checked_mul(block_bytes)).flatten()
}
