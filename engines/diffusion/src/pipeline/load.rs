//! Reads the networks of a checkpoint.

use std::{
    path::Path,
    sync::{Arc, atomic::AtomicU64},
};

use candle_core::{DType, Device};
use hearth_worker::checkpoint::{ImageFamily, prefixes, weights_of};

use super::Pipeline;
use crate::{
    autoencoder::Autoencoder,
    names::Names,
    settings::{AutoencoderSettings, ScheduleSettings, TextSettings, UnetSettings},
    text_encoder::TextEncoder,
    tokenizer::Tokenizer,
    unet::Unet,
    weights::{NetworkWeights, WeightFile},
};

impl Pipeline {
    /// Loads a single file with all networks. `read` counts the bytes that are read.
    ///
    /// # Errors
    /// The reason why it can't be loaded.
    pub(crate) fn load_file(
        path: &Path,
        family: ImageFamily,
        device: &Device,
        read: &Arc<AtomicU64>,
    ) -> Result<Self, String> {
        let file = WeightFile::open(path, read)?;
        let dtype = number_type(device);
        let text = |names, settings: &TextSettings| {
            TextEncoder::load(&NetworkWeights::builder(&file, names, dtype, device), settings)
                .map_err(damaged)
        };
        let mut pooled = 0;
        let encoders = if family == ImageFamily::Sdxl {
            let first = TextSettings::of_file(&file, prefixes::TEXT_1)?;
            let second = TextSettings::of_open_clip(&file, prefixes::TEXT_2)?;
            pooled = second.projection.unwrap_or(0);
            vec![
                text(Names::Text { prefix: prefixes::TEXT_1 }, &first)?,
                text(Names::OpenText { prefix: prefixes::TEXT_2 }, &second)?,
            ]
        } else {
            let settings = TextSettings::of_file(&file, prefixes::TEXT)?;
            vec![text(Names::Text { prefix: prefixes::TEXT }, &settings)?]
        };
        let unet_settings = UnetSettings::of_file(&file, family, pooled)?;
        let names = Names::Unet { layers: unet_settings.layers };
        let unet = Unet::load(&NetworkWeights::builder(&file, names, dtype, device), unet_settings);
        let settings = AutoencoderSettings::of_file(&file, family)?;
        let names = Names::Autoencoder { prefix: prefixes::VAE, levels: settings.channels.len() };
        let autoencoder = Autoencoder::load(&file, names, &settings, device).map_err(damaged)?;
        let schedule = ScheduleSettings::default();
        let unet = unet.map_err(damaged)?;
        Self {
            family,
            tokenizer: Tokenizer::clip()?,
            encoders,
            unet,
            autoencoder,
            schedule,
            device: device.clone(),
        }
        .checked()
    }

    /// Loads a folder of the library diffusers. `read` counts the bytes that are read.
    ///
    /// # Errors
    /// The reason why it can't be loaded.
    pub(crate) fn load_folder(
        folder: &Path,
        family: ImageFamily,
        device: &Device,
        read: &Arc<AtomicU64>,
    ) -> Result<Self, String> {
        let dtype = number_type(device);
        let open = |network: &str| {
            let path =
                weights_of(folder, network).ok_or_else(|| format!("its folder {network} has no weights"))?;
            WeightFile::open(&path, read).map_err(|reason| format!("{network}: {reason}"))
        };
        let names: &[&str] = match family {
            ImageFamily::Sdxl => &["text_encoder", "text_encoder_2"],
            _ => &["text_encoder"],
        };
        let mut encoders = Vec::new();
        for name in names {
            let settings = TextSettings::of_folder(folder, name)?;
            let weights = NetworkWeights::builder(&open(name)?, Names::Diffusers, dtype, device);
            encoders.push(TextEncoder::load(&weights, &settings).map_err(damaged)?);
        }
        let weights = NetworkWeights::builder(&open("unet")?, Names::Diffusers, dtype, device);
        let unet = Unet::load(&weights, UnetSettings::of_folder(folder)?).map_err(damaged)?;
        let settings = AutoencoderSettings::of_folder(folder)?;
        let autoencoder =
            Autoencoder::load(&open("vae")?, Names::Diffusers, &settings, device).map_err(damaged)?;
        let tokenizer = Tokenizer::of_folder(&folder.join("tokenizer"))?;
        let schedule = ScheduleSettings::of_folder(folder)?;
        Self { family, tokenizer, encoders, unet, autoencoder, schedule, device: device.clone() }.checked()
    }

    fn checked(self) -> Result<Self, String> {
        let vocabulary = self.encoders.iter().map(|encoder| encoder.vocabulary).min().unwrap_or(0);
        if self.tokenizer.last_id() as usize >= vocabulary {
            return Err("its tokenizer has more tokens than its text encoder".to_owned());
        }
        let mut lengths = self.encoders.iter().map(|encoder| encoder.length);
        let first = lengths.next();
        if lengths.any(|length| Some(length) != first) {
            return Err("its text encoders read texts of different lengths".to_owned());
        }
        Ok(self)
    }
}

/// The type of the numbers that the networks compute with.
fn number_type(device: &Device) -> DType {
    if device.is_cpu() { DType::F32 } else { DType::F16 }
}

#[expect(clippy::needless_pass_by_value, reason = "it is passed to map_err")]
fn damaged(error: candle_core::Error) -> String {
    let text = error.to_string();
    // The first line; the others are a backtrace.
    format!("its weights can't be used: {}", text.lines().next().unwrap_or_default())
}
