//! Reads the networks of a FLUX.1 model.

use std::{
    path::Path,
    sync::{Arc, Mutex, atomic::AtomicU64},
};

use candle_core::{DType, Device};
use hearth_worker::checkpoint::{FluxParts, ImageFamily, PartHeader, flux_transformer_prefix};

use super::{
    FluxPipeline, part_file::PartFile, settings::TransformerSettings, t5::T5Encoder,
    t5_tokenizer::T5Tokenizer, transformer::Transformer,
};
use crate::{
    autoencoder::Autoencoder,
    names::Names,
    settings::{AutoencoderSettings, TextSettings},
    text_encoder::TextEncoder,
    tokenizer::Tokenizer,
    weights::{NetworkWeights, WeightFile},
};

impl FluxPipeline {
    /// Loads the model with these parts. `read` counts the bytes that are read.
    ///
    /// # Errors
    /// The reason why it can't be loaded.
    pub(crate) fn load(
        parts: &FluxParts,
        family: ImageFamily,
        device: &Device,
        read: &Arc<AtomicU64>,
    ) -> Result<Self, String> {
        let (t5, t5_tokenizer) =
            load_t5(parts, device, read).map_err(|reason| of_part(&parts.t5, &reason))?;
        let clip = load_clip(&parts.clip, device, read).map_err(|reason| of_part(&parts.clip, &reason))?;
        let autoencoder = load_autoencoder(&parts.autoencoder, device, read)
            .map_err(|reason| of_part(&parts.autoencoder, &reason))?;
        let transformer = load_transformer(&parts.transformer, device, read)
            .map_err(|reason| of_part(&parts.transformer, &reason))?;
        Self {
            family,
            clip_tokenizer: Tokenizer::clip()?,
            clip,
            t5_tokenizer,
            t5,
            transformer,
            autoencoder,
            device: device.clone(),
            last_condition: Mutex::new(None),
        }
        .check()
    }

    /// Checks that the networks fit each other.
    fn check(self) -> Result<Self, String> {
        let settings = &self.transformer.settings;
        let fits = |encoder: &str, actual: usize, needed: usize| match actual == needed {
            true => Ok(()),
            false => Err(format!(
                "its text encoder {encoder} makes vectors of {actual} numbers, and its transformer takes {needed}; use the \
                 encoder that belongs to FLUX.1"
            )),
        };
        fits("T5", self.t5.width, settings.context)?;
        fits("CLIP", self.clip.width, settings.pooled)?;
        if self.t5_tokenizer.vocabulary() > self.t5.vocabulary
            || self.clip_tokenizer.last_id() as usize >= self.clip.vocabulary
        {
            return Err("its tokenizer has more tokens than its text encoder".to_owned());
        }
        if 4 * self.autoencoder.channels != settings.patch {
            return Err(format!(
                "its autoencoder has latents of {} numbers, and its transformer patches of {}",
                self.autoencoder.channels, settings.patch
            ));
        }
        Ok(self)
    }
}

fn load_t5(
    parts: &FluxParts,
    device: &Device,
    read: &Arc<AtomicU64>,
) -> Result<(T5Encoder, T5Tokenizer), String> {
    let file = PartFile::open(&parts.t5, device, read)?;
    let tokenizer = match (&parts.tokenizer, file.gguf()) {
        (Some(path), _) => T5Tokenizer::of_file(path)?,
        (None, Some(header)) => T5Tokenizer::of_gguf(header)?,
        (None, None) => return Err("it has no tokenizer".to_owned()),
    };
    Ok((T5Encoder::load(&file)?, tokenizer))
}

fn load_clip(path: &Path, device: &Device, read: &Arc<AtomicU64>) -> Result<TextEncoder, String> {
    let file = WeightFile::open(path, read)?;
    let settings = TextSettings::of_file(&file, "")?;
    let weights = NetworkWeights::builder(&file, Names::Text { prefix: "" }, DType::F32, device);
    TextEncoder::load(&weights, &settings).map_err(|error| error.to_string())
}

fn load_autoencoder(path: &Path, device: &Device, read: &Arc<AtomicU64>) -> Result<Autoencoder, String> {
    let file = WeightFile::open(path, read)?;
    let settings = AutoencoderSettings::of_flux(&file)?;
    let names = Names::Autoencoder { prefix: "", levels: settings.channels.len() };
    Autoencoder::load(&file, names, &settings, device).map_err(|error| error.to_string())
}

fn load_transformer(path: &Path, device: &Device, read: &Arc<AtomicU64>) -> Result<Transformer, String> {
    let prefix =
        flux_transformer_prefix(&PartHeader::read(path)?).ok_or("it has no transformer of FLUX.1")?;
    let file = PartFile::open(path, device, read)?;
    let settings = TransformerSettings::of(&file, prefix)?;
    Transformer::load(&file, settings).map_err(|error| error.to_string())
}

/// A reason with the name of its file, in one line.
fn of_part(path: &Path, reason: &str) -> String {
    // The further lines are a backtrace.
    let reason = reason.lines().next().unwrap_or_default();
    format!("{} can't be used: {reason}", path.file_name().unwrap_or_default().to_string_lossy())
}
