//! Attention with rotated positions, in pieces that bound its memory.

use candle_core::{D, Device, IndexOp as _, Result, Tensor};
use candle_nn::{ops, rotary_emb::rope_i};

use super::settings::TransformerSettings;

/// Base of the frequencies of positions.
const THETA: f64 = 10_000.0;
/// Limit of the scores that are computed at once, as numbers.
const SCORES_MAX_COUNT: usize = 32 << 20;
/// Bytes of a number.
const NUMBER_BYTES: u64 = 4;
/// Copies of the scores that are in memory at once: before, in and after the softmax.
const SCORES_COPIES: u64 = 3;

/// Bytes of memory that the scores of a step need at most.
pub(super) fn scores_bytes(tokens: u64) -> u64 {
    tokens.max(SCORES_MAX_COUNT as u64) * NUMBER_BYTES * SCORES_COPIES
}

/// The positions of tokens, as cosines and sines.
#[derive(Debug)]
pub(super) struct Positions {
    cosines: Tensor,
    sines: Tensor,
}

impl Positions {
    /// The positions of `text` tokens, all at the origin, and of patches in `rows` and `columns`.
    ///
    /// # Errors
    /// If the computation fails.
    pub(super) fn new(
        settings: &TransformerSettings,
        text: usize,
        (rows, columns): (usize, usize),
        device: &Device,
    ) -> Result<Self> {
        let patches = (0..rows).flat_map(|row| (0..columns).map(move |column| [0, row, column]));
        let all: Vec<[usize; 3]> = std::iter::repeat_n([0; 3], text).chain(patches).collect();
        let frequencies = settings.axes().map(|numbers| {
            (0..numbers)
                .step_by(2)
                .map(|index| THETA.powf(-(index as f64) / numbers as f64))
                .collect::<Vec<_>>()
        });
        let angles: Vec<f64> = all
            .iter()
            .flat_map(|position| position.iter().zip(&frequencies))
            .flat_map(|(place, frequencies)| frequencies.iter().map(|frequency| *place as f64 * frequency))
            .collect();
        let shape = (all.len(), settings.head / 2);
        let table = |function: fn(f64) -> f64| {
            let numbers: Vec<f32> = angles.iter().map(|angle| function(*angle) as f32).collect();
            Tensor::from_vec(numbers, shape, device)
        };
        Ok(Self { cosines: table(f64::cos)?, sines: table(f64::sin)? })
    }
}

/// Mixes the values of all tokens by the likeness of queries and keys. The tensors are batch x heads x tokens x numbers; the
/// result is batch x tokens x width.
///
/// # Errors
/// If the computation fails.
pub(super) fn attend(query: &Tensor, key: &Tensor, value: &Tensor, positions: &Positions) -> Result<Tensor> {
    let rotated = |tensor: &Tensor| rope_i(&tensor.contiguous()?, &positions.cosines, &positions.sines);
    let (query, key, value) = (rotated(query)?, rotated(key)?, value.contiguous()?);
    let (_, heads, tokens, numbers) = query.dims4()?;
    let scale = (numbers as f64).powf(-0.5);
    let rows = (SCORES_MAX_COUNT / tokens.max(1)).clamp(1, tokens.max(1));
    let mut outputs = Vec::with_capacity(heads);
    for head in 0..heads {
        let (query, value) = (query.i((0, head))?, value.i((0, head))?);
        let key = key.i((0, head))?.t()?;
        let mut pieces = Vec::new();
        for start in (0..tokens).step_by(rows) {
            let query = query.narrow(0, start, rows.min(tokens - start))?;
            let weights = ops::softmax_last_dim(&(query.matmul(&key)? * scale)?)?;
            pieces.push(weights.matmul(&value)?);
        }
        outputs.push(Tensor::cat(&pieces, 0)?);
    }
    Tensor::cat(&outputs, D::Minus1)?.unsqueeze(0)
}
