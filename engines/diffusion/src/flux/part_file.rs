//! Reads the tensors of a file with one network: GGUF or safetensors.

use std::{
    fs::File,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use candle_core::{
    DType, Device, Result, Tensor, bail,
    quantized::{GgmlDType, QTensor, gguf_file::Content},
};

use super::matrix::{Linear, Matrix};
use crate::weights::WeightFile;

/// A file with one network.
pub(crate) struct PartFile {
    contents: Contents,
    device: Device,
}

enum Contents {
    Safetensors(Arc<WeightFile>),
    Gguf {
        file: File,
        header: Content,
        /// Bytes that were read so far, of all files of the model.
        read: Arc<AtomicU64>,
    },
}

impl PartFile {
    /// Opens a file, by its extension. The tensors are read to `device`.
    ///
    /// # Errors
    /// The reason why it can't be read.
    pub(crate) fn open(
        path: &Path,
        device: &Device,
        read: &Arc<AtomicU64>,
    ) -> std::result::Result<Self, String> {
        let is_gguf = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gguf"));
        let contents = if is_gguf {
            let file =
                File::open(path).map_err(|error| format!("its file can't be opened: {}", error.kind()))?;
            let header =
                Content::read(&mut std::io::BufReader::new(&file)).map_err(|error| error.to_string())?;
            Contents::Gguf { file, header, read: Arc::clone(read) }
        } else {
            Contents::Safetensors(WeightFile::open(path, read)?)
        };
        Ok(Self { contents, device: device.clone() })
    }

    /// The header of a GGUF file, with its metadata.
    pub(crate) fn gguf(&self) -> Option<&Content> {
        match &self.contents {
            Contents::Gguf { header, .. } => Some(header),
            Contents::Safetensors(_) => None,
        }
    }

    /// The device of the tensors.
    pub(crate) fn device(&self) -> &Device {
        &self.device
    }

    /// The dimensions of a tensor, the outermost first.
    pub(crate) fn shape(&self, name: &str) -> Option<&[usize]> {
        match &self.contents {
            Contents::Safetensors(file) => file.shape(name),
            Contents::Gguf { header, .. } => header.tensor_infos.get(name).map(|tensor| tensor.shape.dims()),
        }
    }

    /// A dimension of a tensor.
    ///
    /// # Errors
    /// If the tensor is missing, or has too few dimensions.
    pub(crate) fn dimension(&self, name: &str, index: usize) -> std::result::Result<usize, String> {
        let shape = self.shape(name).ok_or_else(|| format!("the tensor {name:?} is missing"))?;
        shape.get(index).copied().ok_or_else(|| format!("the tensor {name:?} has too few dimensions"))
    }

    /// Reads a layer: `{name}.weight`, a matrix from `of` to `to` numbers, and `{name}.bias`.
    ///
    /// # Errors
    /// If a tensor is missing, has another shape, or can't be read.
    pub(crate) fn linear(&self, name: &str, to: usize, of: usize) -> Result<Linear> {
        Ok(Linear {
            matrix: self.matrix(&format!("{name}.weight"), to, of)?,
            bias: Some(self.numbers(&format!("{name}.bias"), &[to])?),
        })
    }

    /// Reads a matrix from `of` to `to` numbers.
    ///
    /// # Errors
    /// If it is missing, has another shape, or can't be read.
    pub(crate) fn matrix(&self, name: &str, to: usize, of: usize) -> Result<Matrix> {
        self.check(name, &[to, of])?;
        // Weights that aren't quantised are `f32` on the processor. On a GPU `bf16` has their range, and `f16` hasn't.
        let dtype = if self.device.is_cpu() { DType::F32 } else { DType::BF16 };
        match &self.contents {
            Contents::Safetensors(file) => {
                Ok(Matrix::Numbers(file.tensor(name)?.to_dtype(dtype)?.to_device(&self.device)?))
            }
            Contents::Gguf { .. } => {
                let weights = self.stored(name)?;
                Ok(match weights.dtype() {
                    GgmlDType::F32 | GgmlDType::F16 | GgmlDType::BF16 => {
                        Matrix::Numbers(weights.dequantize(&self.device)?.to_dtype(dtype)?)
                    }
                    _ => Matrix::Quantised(Arc::new(weights)),
                })
            }
        }
    }

    /// Reads a tensor as numbers, such as a bias.
    ///
    /// # Errors
    /// If it is missing, has another shape, or can't be read.
    pub(crate) fn numbers(&self, name: &str, shape: &[usize]) -> Result<Tensor> {
        self.check(name, shape)?;
        match &self.contents {
            Contents::Safetensors(file) => file.tensor(name)?.to_dtype(DType::F32)?.to_device(&self.device),
            Contents::Gguf { .. } => self.stored(name)?.dequantize(&self.device),
        }
    }

    fn check(&self, name: &str, shape: &[usize]) -> Result<()> {
        match self.shape(name) {
            None => bail!("the tensor {name:?} is missing"),
            Some(actual) if actual != shape => {
                bail!("the tensor {name:?} has the shape {actual:?} and not {shape:?}")
            }
            Some(_) => Ok(()),
        }
    }

    /// A tensor of a GGUF file as it is stored.
    fn stored(&self, name: &str) -> Result<QTensor> {
        let Contents::Gguf { file, header, read } = &self.contents else {
            bail!("{name:?} isn't in a GGUF file")
        };
        let tensor = header.tensor(&mut &*file, name, &self.device)?;
        read.fetch_add(tensor.storage_size_in_bytes() as u64, Ordering::Relaxed);
        Ok(tensor)
    }
}
