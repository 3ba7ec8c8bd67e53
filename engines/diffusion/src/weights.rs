//! Reads the tensors of checkpoints. A tensor is read when a network asks for it, so no weight is in memory twice.

use std::{
    fs::File,
    os::unix::fs::FileExt as _,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use candle_core::{DType, Device, Error, Result, Shape, Tensor, bail};
use candle_nn::{Init, VarBuilder, var_builder::SimpleBackend};
use hearth_worker::checkpoint::{SafetensorsHeader, StoredTensor};

use crate::names::{Names, Part, upsampler_without_attention};

/// The tensors of a file.
#[derive(Debug)]
pub(crate) struct WeightFile {
    file: File,
    pub(crate) header: SafetensorsHeader,
    /// Bytes that were read so far, of all files of the checkpoint.
    read: Arc<AtomicU64>,
}

impl WeightFile {
    /// Opens a safetensors file.
    ///
    /// # Errors
    /// The reason why it can't be read.
    pub(crate) fn open(path: &Path, read: &Arc<AtomicU64>) -> std::result::Result<Arc<Self>, String> {
        let header = SafetensorsHeader::read(path).map_err(|error| error.to_string())?;
        let file = File::open(path).map_err(|error| format!("its file can't be opened: {}", error.kind()))?;
        Ok(Arc::new(Self { file, header, read: Arc::clone(read) }))
    }

    /// The shape of a tensor.
    pub(crate) fn shape(&self, name: &str) -> Option<&[usize]> {
        self.header.tensors.get(name).map(|tensor| tensor.shape.as_slice())
    }

    /// Reads a tensor in its own type.
    ///
    /// # Errors
    /// If it is missing, or its type or bytes can't be read.
    pub(crate) fn tensor(&self, name: &str) -> Result<Tensor> {
        match self.header.tensors.get(name) {
            Some(tensor) => self.read(name, tensor),
            None => bail!("the tensor {name:?} is missing"),
        }
    }

    fn read(&self, name: &str, tensor: &StoredTensor) -> Result<Tensor> {
        let dtype = match tensor.dtype.as_str() {
            "F64" => DType::F64,
            "F32" => DType::F32,
            "F16" => DType::F16,
            "BF16" => DType::BF16,
            "F8_E4M3" => DType::F8E4M3,
            other => {
                bail!("the tensor {name:?} has numbers of the type {other}, which the engine doesn't read")
            }
        };
        let mut bytes = vec![0; tensor.bytes];
        self.file.read_exact_at(&mut bytes, tensor.offset).map_err(Error::wrap)?;
        self.read.fetch_add(tensor.bytes as u64, Ordering::Relaxed);
        Tensor::from_raw_buffer(&bytes, dtype, &tensor.shape, &Device::Cpu)
    }
}

/// The tensors of one network in a file.
pub(crate) struct NetworkWeights {
    file: Arc<WeightFile>,
    names: Names,
    /// The layer that computes an autoencoder's distribution of latents, which is its mean, so that a picture depends on its
    /// request only.
    mean_layer: Option<&'static str>,
}

impl NetworkWeights {
    /// The weights of a network, as numbers of `dtype` on `device`.
    pub(crate) fn builder(
        file: &Arc<WeightFile>,
        names: Names,
        dtype: DType,
        device: &Device,
    ) -> VarBuilder<'static> {
        let weights = Self { file: Arc::clone(file), names, mean_layer: None };
        VarBuilder::from_backend(Box::new(weights), dtype, device.clone())
    }

    /// The same for an autoencoder, whose latents are to be the mean of their distribution, which `mean_layer` computes.
    pub(crate) fn mean_builder(
        file: &Arc<WeightFile>,
        names: Names,
        mean_layer: &'static str,
        dtype: DType,
        device: &Device,
    ) -> VarBuilder<'static> {
        let weights = Self { file: Arc::clone(file), names, mean_layer: Some(mean_layer) };
        VarBuilder::from_backend(Box::new(weights), dtype, device.clone())
    }

    fn find(&self, name: &str) -> Option<(&StoredTensor, Part)> {
        let source = self.names.source(name);
        let tensors = &self.file.header.tensors;
        let tensor =
            tensors.get(&source.name).or_else(|| tensors.get(&upsampler_without_attention(&source.name)?))?;
        Some((tensor, source.part))
    }

    fn read(&self, name: &str) -> Result<Tensor> {
        let Some((tensor, part)) = self.find(name) else { bail!("the tensor {name:?} is missing") };
        let tensor = self.file.read(name, tensor)?;
        match part {
            Part::Whole => Ok(tensor),
            Part::Third(third) => {
                let height = tensor.dim(0)? / 3;
                tensor.narrow(0, third * height, height)
            }
            Part::Transposed => tensor.t()?.contiguous(),
        }
    }

    /// The logarithm of the variance comes from the second half of the channels: without weights, and with a bias so low that
    /// the deviation is nothing.
    fn without_deviation(name: &str, tensor: &Tensor) -> Result<Tensor> {
        let half = tensor.dim(0)? / 2;
        let mean = tensor.narrow(0, 0, half)?;
        let deviation = mean.zeros_like()?;
        let deviation = if name.ends_with(".bias") { (deviation - 60.0)? } else { deviation };
        Tensor::cat(&[mean, deviation], 0)
    }
}

impl SimpleBackend for NetworkWeights {
    fn get(&self, shape: Shape, name: &str, _: Init, dtype: DType, device: &Device) -> Result<Tensor> {
        let tensor = self.get_unchecked(name, dtype, device)?;
        if tensor.shape() != &shape {
            bail!("the tensor {name:?} has the shape {:?} and not {shape:?}", tensor.shape());
        }
        Ok(tensor)
    }

    fn get_unchecked(&self, name: &str, dtype: DType, device: &Device) -> Result<Tensor> {
        let mut tensor = self.read(name)?.to_dtype(dtype)?;
        if self.mean_layer.is_some_and(|layer| name.starts_with(layer)) {
            tensor = Self::without_deviation(name, &tensor)?;
        }
        tensor.to_device(device)
    }

    fn contains_tensor(&self, name: &str) -> bool {
        self.find(name).is_some()
    }
}
