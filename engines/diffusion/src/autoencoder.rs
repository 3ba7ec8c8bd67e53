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

/// An autoencoder.
#[derive(Debug)]
pub(crate) struct Autoencoder {
    network: AutoEncoderKL,
    scale: f64,
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
            use_quant_conv: true,
            use_post_quant_conv: true,
        };
        let weights = NetworkWeights::mean_builder(file, names, DType::F32, device);
        let network = AutoEncoderKL::new(weights, COLOURS, COLOURS, config)?;
        Ok(Self { network, scale: settings.scale, factor: settings.factor() })
    }

    /// The latents of a picture, whose numbers are -1 to 1.
    ///
    /// # Errors
    /// If the computation fails.
    pub(crate) fn encode(&self, pixels: &Tensor) -> Result<Tensor> {
        self.network.encode(pixels)?.sample()? * self.scale
    }

    /// The picture of latents, with numbers of -1 to 1.
    ///
    /// # Errors
    /// If the computation fails.
    pub(crate) fn decode(&self, latents: &Tensor) -> Result<Tensor> {
        self.network.decode(&(latents / self.scale)?)?.clamp(-1.0, 1.0)
    }
}
