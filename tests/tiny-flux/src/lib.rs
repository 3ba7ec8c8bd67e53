//! Writes a FLUX.1 model of three megabytes with random weights, as its parts are distributed: real names of tensors, real
//! formats, small dimensions. Its pictures are coloured noise that depends on the request.
//!
//! A weight depends on its tensor's name alone, so `reference.py` computes with the same weights in PyTorch.

#![warn(missing_docs)]

mod networks;
mod random;
mod vocabulary;

use std::{
    collections::{BTreeMap, HashMap},
    fs::{self, File},
    io::BufWriter,
    path::Path,
};

pub use random::numbers;

use candle_core::{
    DType, Device, Result, Tensor,
    quantized::{GgmlDType, QTensor, gguf_file},
};

/// The names of the files in the folder.
pub mod files {
    /// The transformer as GGUF.
    pub const TRANSFORMER: &str = "flux1-tiny-Q8_0.gguf";
    /// T5 as GGUF.
    pub const T5: &str = "t5-tiny-encoder-Q8_0.gguf";
    /// CLIP.
    pub const CLIP: &str = "clip_l.safetensors";
    /// The autoencoder.
    pub const AUTOENCODER: &str = "ae.safetensors";
    /// The transformer as safetensors.
    pub const PLAIN_TRANSFORMER: &str = "flux1-tiny.safetensors";
    /// T5 as safetensors.
    pub const PLAIN_T5: &str = "t5xxl_tiny.safetensors";
    /// The tokenizer of T5 as safetensors.
    pub const TOKENIZER: &str = "tokenizer.json";
}

/// The formats of transformer and T5.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// GGUF with quantised weights: `Q4_K` and `Q8_0`, and `F16` for rows that they don't fit.
    Quantised,
    /// GGUF with weights of `F32`.
    Gguf,
    /// Safetensors with weights of `F32`.
    Safetensors,
}

/// A small FLUX.1 model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TinyFlux {
    /// It is like FLUX.1 dev, whose guidance is an input, and not like schnell.
    pub is_guided: bool,
    /// The formats of transformer and T5.
    pub format: Format,
}

impl TinyFlux {
    /// A quantised model like FLUX.1 schnell.
    pub const SCHNELL: Self = Self { is_guided: false, format: Format::Quantised };
    /// A quantised model like FLUX.1 dev.
    pub const DEV: Self = Self { is_guided: true, format: Format::Quantised };

    /// Writes the model's files into `folder`.
    ///
    /// # Errors
    /// If they can't be written.
    pub fn write(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder)?;
        let transformer = networks::transformer(self.is_guided)?;
        let t5 = networks::t5()?;
        if self.format == Format::Safetensors {
            save(&transformer, &folder.join(files::PLAIN_TRANSFORMER), DType::F32)?;
            let t5: Tensors =
                t5.into_iter().map(|(name, tensor)| (networks::t5_name(&name), tensor)).collect();
            save(&t5, &folder.join(files::PLAIN_T5), DType::F32)?;
            fs::write(folder.join(files::TOKENIZER), vocabulary::tokenizer_json())?;
        } else {
            let metadata = vec![("general.architecture", gguf_file::Value::String("flux".to_owned()))];
            self.write_gguf(&folder.join(files::TRANSFORMER), &metadata, &transformer)?;
            self.write_gguf(&folder.join(files::T5), &vocabulary::metadata(), &t5)?;
        }
        save(&networks::clip()?, &folder.join(files::CLIP), DType::F16)?;
        save(&networks::autoencoder()?, &folder.join(files::AUTOENCODER), DType::F16)
    }

    fn write_gguf(
        &self,
        path: &Path,
        metadata: &[(&str, gguf_file::Value)],
        tensors: &Tensors,
    ) -> Result<()> {
        let quantised = tensors
            .iter()
            .map(|(name, tensor)| Ok((name.as_str(), QTensor::quantize(tensor, self.kind(tensor))?)))
            .collect::<Result<Vec<_>>>()?;
        let metadata: Vec<_> = metadata.iter().map(|(key, value)| (*key, value)).collect();
        let tensors: Vec<_> = quantised.iter().map(|(name, tensor)| (*name, tensor)).collect();
        gguf_file::write(&mut BufWriter::new(File::create(path)?), &metadata, &tensors)
    }

    /// The type of a tensor in a GGUF file.
    fn kind(&self, tensor: &Tensor) -> GgmlDType {
        match tensor.dims() {
            [_, width] if self.format == Format::Quantised => match width {
                width if width.is_multiple_of(256) => GgmlDType::Q4K,
                width if width.is_multiple_of(32) => GgmlDType::Q8_0,
                _ => GgmlDType::F16,
            },
            _ => GgmlDType::F32,
        }
    }
}

/// Tensors of `f32` by name.
pub(crate) type Tensors = BTreeMap<String, Tensor>;

fn save(tensors: &Tensors, path: &Path, dtype: DType) -> Result<()> {
    let tensors = tensors
        .iter()
        .map(|(name, tensor)| Ok((name.clone(), tensor.to_dtype(dtype)?)))
        .collect::<Result<HashMap<_, _>>>()?;
    candle_core::safetensors::save(&tensors, path)
}

/// A tensor with random weights of its name.
pub(crate) fn tensor(name: &str, shape: &[usize], offset: f32, scale: f32) -> Result<Tensor> {
    let numbers = numbers(name, shape.iter().product()).map(|number| offset + scale * number);
    Tensor::from_vec(numbers.collect(), shape, &Device::Cpu)
}
