//! The autoencoder: from pixels to latents and back. It computes with `f32` everywhere: with fewer digits Stable Diffusion XL's
//! makes black pictures.

use candle_core::{DType, Device, Result, Tensor};
use candle_transformers::models::stable_diffusion::vae::{AutoEncoderKL, AutoEncoderKLConfig};

use crate::{
    names::Names,
    settings::AutoencoderSettings,
    weights::{NetworkWeights, WeightFile},
};

/// Channels of a picture.
const COLOURS: usize = 3;
/// Copies of the attention's scores that are in memory at once: before, in and after the softmax.
const SCORES_COPIES: u64 = 3;
/// Bytes of a score.
const SCORE_BYTES: u64 = 4;

/// An autoencoder.
#[derive(Debug)]
pub(crate) struct Autoencoder {
    network: AutoEncoderKL,
    scale: f64,
    shift: f64,
    /// Channels of a latent.
    pub(crate) channels: usize,
    /// Pixels of a latent's side.
    pub(crate) factor: usize,
}

impl Autoencoder {
    /// Reads the weights of an autoencoder.
    ///
    /// # Errors
    /// If a tensor is missing or has another shape.
    pub(crate) fn load(
        file: &std::sync::Arc<WeightFile>,
        names: Names,
        settings: &AutoencoderSettings,
        device: &Device,
    ) -> Result<Self> {
        let config = AutoEncoderKLConfig {
            block_out_channels: settings.channels.clone(),
            layers_per_block: settings.layers,
            latent_channels: settings.latent_channels,
            norm_num_groups: settings.groups,
            use_quant_conv: settings.has_quant_layers,
            use_post_quant_conv: settings.has_quant_layers,
        };
        let mean_layer = if settings.has_quant_layers { "quant_conv." } else { "encoder.conv_out." };
        let weights = NetworkWeights::mean_builder(file, names, mean_layer, DType::F32, device);
        let network = AutoEncoderKL::new(weights, COLOURS, COLOURS, config)?;
        Ok(Self {
            network,
            scale: settings.scale,
            shift: settings.shift,
            channels: settings.latent_channels,
            factor: settings.factor(),
        })
    }

    /// Bytes of memory that the attention of an autoencoder needs for latents of this height and width: it is computed at
    /// once.
    pub(crate) fn attention_bytes(height: usize, width: usize) -> u64 {
        let latents = (height * width) as u64;
        latents.saturating_mul(latents).saturating_mul(SCORE_BYTES * SCORES_COPIES)
    }

    /// Height and width of the latents of a picture.
    pub(crate) fn latent_size(&self, width: u32, height: u32) -> (usize, usize) {
        (height as usize / self.factor, width as usize / self.factor)
    }

    /// The latents of a picture, whose numbers are -1 to 1.
    ///
    /// # Errors
    /// If the computation fails.
    pub(crate) fn encode(&self, pixels: &Tensor) -> Result<Tensor> {
        (self.network.encode(pixels)?.sample()? - self.shift)? * self.scale
    }

    /// The picture of latents, with numbers of -1 to 1.
    ///
    /// # Errors
    /// If the computation fails.
    pub(crate) fn decode(&self, latents: &Tensor) -> Result<Tensor> {
        self.network.decode(&((latents / self.scale)? + self.shift)?)?.clamp(-1.0, 1.0)
    }
}
