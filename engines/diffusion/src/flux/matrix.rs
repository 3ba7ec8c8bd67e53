//! A matrix of a network, quantised as in its file or as numbers.

use std::{borrow::Cow, sync::Arc, thread};

use candle_core::{
    D, DType, Device, Module, Result, Tensor,
    quantized::{QStorage, QTensor},
    utils::get_num_threads,
};

/// Rows of a piece of a matrix: at least so many, in multiples of the rows that candle packs together.
const PIECE_MIN_ROWS: usize = 256;
const PIECE_STEP: usize = 16;

/// A matrix of a network.
#[derive(Debug, Clone)]
pub(crate) enum Matrix {
    /// As in its file.
    Quantised(Arc<QTensor>),
    /// As numbers.
    Numbers(Tensor),
}

impl Matrix {
    /// The rows of `ids`, as `f32`.
    ///
    /// # Errors
    /// If an id is too large, or the computation fails.
    pub(crate) fn rows(&self, ids: &Tensor) -> Result<Tensor> {
        match self {
            Self::Quantised(weights) => weights.embedding(ids),
            Self::Numbers(weights) => weights.index_select(ids, 0)?.to_dtype(DType::F32),
        }
    }
}

impl Module for Matrix {
    /// Multiplies rows of `f32` with the matrix.
    fn forward(&self, rows: &Tensor) -> Result<Tensor> {
        match self {
            Self::Quantised(weights) if weights.device().is_cpu() => multiply(weights, &rows.contiguous()?),
            Self::Quantised(weights) => rows.contiguous()?.apply_op1_no_bwd(weights.as_ref()),
            Self::Numbers(weights) => {
                let (batch, length, width) = rows.dims3()?;
                let rows = rows.reshape((batch * length, width))?.to_dtype(weights.dtype())?;
                rows.matmul(&weights.t()?)?.to_dtype(DType::F32)?.reshape((batch, length, ()))
            }
        }
    }
}

/// Multiplies rows with quantised weights on the processor, with a copy of the weights. candle packs them into the layout of
/// its fastest kernels at their first use, and keeps both: all weights would be in memory twice. So it gets a copy, which is
/// dropped with its packed weights. Copying and packing take one thread for each piece of the matrix.
fn multiply(weights: &QTensor, rows: &Tensor) -> Result<Tensor> {
    let (to, _) = weights.shape().dims2()?;
    let data = weights.data()?;
    let row_bytes = data.len() / to.max(1);
    let piece_rows = to.div_ceil(get_num_threads()).max(PIECE_MIN_ROWS).next_multiple_of(PIECE_STEP);
    let product = |start: usize| {
        let end = to.min(start + piece_rows);
        multiply_piece(weights, &data[start * row_bytes..end * row_bytes], end - start, rows)
    };
    if piece_rows >= to {
        return product(0);
    }
    let pieces: Vec<Result<Tensor>> = thread::scope(|scope| {
        let starts = (0..to).step_by(piece_rows);
        let threads: Vec<_> = starts.map(|start| scope.spawn(move || product(start))).collect();
        let failed = || Err(candle_core::Error::Msg("a thread of a multiplication failed".to_owned()));
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| failed())).collect()
    });
    Tensor::cat(&pieces.into_iter().collect::<Result<Vec<_>>>()?, D::Minus1)
}

/// Multiplies rows with `count` rows of quantised weights.
fn multiply_piece(weights: &QTensor, data: &[u8], count: usize, rows: &Tensor) -> Result<Tensor> {
    let storage = QStorage::from_data(Cow::Borrowed(data), &Device::Cpu, weights.dtype())?;
    rows.apply_op1_no_bwd(&QTensor::new(storage, (count, weights.shape().dims2()?.1))?)
}

/// A layer: a matrix, and a number for each result.
#[derive(Debug, Clone)]
pub(crate) struct Linear {
    pub(crate) matrix: Matrix,
    pub(crate) bias: Option<Tensor>,
}

impl Module for Linear {
    fn forward(&self, rows: &Tensor) -> Result<Tensor> {
        let product = self.matrix.forward(rows)?;
        match &self.bias {
            Some(bias) => product.broadcast_add(bias),
            None => Ok(product),
        }
    }
}

#[cfg(test)]
mod tests {
    use candle_core::quantized::GgmlDType;

    use super::*;

    #[test]
    fn quantised_matrix_multiplies_in_pieces_as_its_numbers_do() {
        let numbers = |shape: (usize, usize, usize), name| {
            let numbers = tiny_flux::numbers(name, shape.0 * shape.1 * shape.2).collect();
            Tensor::from_vec(numbers, shape, &Device::Cpu).unwrap()
        };
        // More rows than a piece has on machines of few and of many cores, and no multiple of them.
        let matrix = numbers((1, 3000, 256), "matrix").squeeze(0).unwrap();
        for kind in [GgmlDType::Q8_0, GgmlDType::Q4K, GgmlDType::Q5_0] {
            let weights = Arc::new(QTensor::quantize(&matrix, kind).unwrap());
            let plain = Matrix::Numbers(weights.dequantize(&Device::Cpu).unwrap());
            for length in [1, 40] {
                let rows = numbers((1, length, 256), "rows");
                let product = Matrix::Quantised(Arc::clone(&weights)).forward(&rows).unwrap();
                let expected = plain.forward(&rows).unwrap();
                assert_eq!(product.dims(), expected.dims());
                let mean =
                    |tensor: Tensor| tensor.abs().unwrap().mean_all().unwrap().to_scalar::<f32>().unwrap();
                let difference = mean((&product - &expected).unwrap()) / mean(expected);
                assert!(difference < 0.01, "{difference} {kind:?} {length}");
            }
        }
    }
}
