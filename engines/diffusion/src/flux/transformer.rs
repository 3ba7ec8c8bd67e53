//! The transformer of FLUX.1 (`flux/model.py` of Black Forest Labs): predicts the direction from a picture to noise.

use candle_core::{D, Device, Module as _, Result, Tensor};
use candle_nn::LayerNorm;

use super::{
    attention::{Positions, scores_bytes},
    blocks::{DoubleBlock, SingleBlock, modulate, plain_norm},
    matrix::Linear,
    part_file::PartFile,
    settings::TransformerSettings,
};
use crate::unet::sinusoids;

/// Factor of times and guidances before they become sines and cosines.
const TIME_FACTOR: f64 = 1000.0;
/// Vectors of a token's width that a block has in memory at once: the states, queries, keys, values, inner numbers and copies.
const WIDE_VECTORS: u64 = 24;
/// Bytes of a number.
const NUMBER_BYTES: u64 = 4;

/// The transformer.
#[derive(Debug)]
pub(crate) struct Transformer {
    pub(crate) settings: TransformerSettings,
    picture_in: Linear,
    text_in: Linear,
    time_in: Embedder,
    pooled_in: Embedder,
    guidance_in: Option<Embedder>,
    double_blocks: Vec<DoubleBlock>,
    single_blocks: Vec<SingleBlock>,
    norm_out: LayerNorm,
    modulation_out: Linear,
    out: Linear,
}

/// The condition of all steps of a picture.
#[derive(Debug, Clone)]
pub(crate) struct FluxCondition {
    /// A vector for each token, by T5: batch x tokens x numbers.
    pub(crate) context: Tensor,
    /// The text as one vector, by CLIP: batch x numbers.
    pub(crate) pooled: Tensor,
}

/// Two layers that make a vector of the transformer's width.
#[derive(Debug)]
struct Embedder {
    first: Linear,
    second: Linear,
}

impl Embedder {
    fn load(file: &PartFile, name: &str, of: usize, width: usize) -> Result<Self> {
        Ok(Self {
            first: file.linear(&format!("{name}.in_layer"), width, of)?,
            second: file.linear(&format!("{name}.out_layer"), width, width)?,
        })
    }

    fn forward(&self, numbers: &Tensor) -> Result<Tensor> {
        self.second.forward(&self.first.forward(&numbers.unsqueeze(1)?)?.silu()?)
    }
}

impl Transformer {
    /// Reads the weights of a transformer.
    ///
    /// # Errors
    /// If a tensor is missing, has another shape, or can't be read.
    pub(crate) fn load(file: &PartFile, settings: TransformerSettings) -> Result<Self> {
        let (width, prefix) = (settings.width, settings.prefix.clone());
        let name = |name: &str| format!("{prefix}{name}");
        let linear = |tensor: &str, to, of| file.linear(&name(tensor), to, of);
        let embedder = |tensor: &str, of| Embedder::load(file, &name(tensor), of, width);
        Ok(Self {
            picture_in: linear("img_in", width, settings.patch)?,
            text_in: linear("txt_in", width, settings.context)?,
            time_in: embedder("time_in", settings.time)?,
            pooled_in: embedder("vector_in", settings.pooled)?,
            guidance_in: match settings.is_guided {
                true => Some(embedder("guidance_in", settings.time)?),
                false => None,
            },
            double_blocks: (0..settings.double_blocks)
                .map(|index| DoubleBlock::load(file, &name(&format!("double_blocks.{index}")), &settings))
                .collect::<Result<_>>()?,
            single_blocks: (0..settings.single_blocks)
                .map(|index| SingleBlock::load(file, &name(&format!("single_blocks.{index}")), &settings))
                .collect::<Result<_>>()?,
            norm_out: plain_norm(file, width)?,
            modulation_out: linear("final_layer.adaLN_modulation.1", 2 * width, width)?,
            out: linear("final_layer.linear", settings.patch, width)?,
            settings,
        })
    }

    /// Bytes of memory that a step needs for so many tokens of text and patches.
    pub(crate) fn step_bytes(&self, tokens: usize) -> u64 {
        let tokens = tokens as u64;
        let wide =
            tokens.saturating_mul(self.settings.width as u64).saturating_mul(WIDE_VECTORS * NUMBER_BYTES);
        wide.saturating_add(scores_bytes(tokens))
    }

    /// Predicts the direction from the picture to the noise in `latents`, 1 x channels x height x width, of which a share of `time`
    /// is noise.
    ///
    /// # Errors
    /// If the computation fails.
    pub(crate) fn predict(
        &self,
        latents: &Tensor,
        time: f64,
        guidance: f64,
        condition: &FluxCondition,
    ) -> Result<Tensor> {
        let (_, _, height, width) = latents.dims4()?;
        let device = latents.device();
        let text = condition.context.dim(1)?;
        let positions = Positions::new(&self.settings, text, (height / 2, width / 2), device)?;
        let vector = self.embed(time, guidance, &condition.pooled, device)?;
        let mut picture = self.picture_in.forward(&patches(latents)?)?;
        let mut context = self.text_in.forward(&condition.context)?;
        for block in &self.double_blocks {
            (picture, context) = block.forward(&picture, &context, &vector, &positions)?;
        }
        let mut states = Tensor::cat(&[&context, &picture], 1)?;
        for block in &self.single_blocks {
            states = block.forward(&states, &vector, &positions)?;
        }
        let picture = states.narrow(1, text, states.dim(1)? - text)?.contiguous()?;
        let modulation = self.modulation_out.forward(&vector.silu()?)?.chunk(2, D::Minus1)?;
        let (shift, scale) = (modulation[0].contiguous()?, modulation[1].contiguous()?);
        let picture = self.out.forward(&modulate(&self.norm_out, &picture, &scale, &shift)?)?;
        unpatched(&picture, height, width)
    }

    /// Time, guidance and text as one vector.
    fn embed(&self, time: f64, guidance: f64, pooled: &Tensor, device: &Device) -> Result<Tensor> {
        let waves = |number: f64| sinusoids(&[number * TIME_FACTOR], self.settings.time, device);
        let mut vector = self.time_in.forward(&waves(time)?)?;
        if let Some(guidance_in) = &self.guidance_in {
            vector = (vector + guidance_in.forward(&waves(guidance)?)?)?;
        }
        vector + self.pooled_in.forward(pooled)?
    }
}

/// Latents as patches of 2 x 2, row by row: 1 x patches x numbers.
fn patches(latents: &Tensor) -> Result<Tensor> {
    let (batch, channels, height, width) = latents.dims4()?;
    latents.reshape((batch, channels, height / 2, 2, width / 2, 2))?.permute((0, 2, 4, 1, 3, 5))?.reshape((
        batch,
        height / 2 * (width / 2),
        channels * 4,
    ))
}

/// Patches as latents of this height and width.
fn unpatched(patches: &Tensor, height: usize, width: usize) -> Result<Tensor> {
    let (batch, _, numbers) = patches.dims3()?;
    patches
        .reshape((batch, height / 2, width / 2, numbers / 4, 2, 2))?
        .permute((0, 3, 1, 4, 2, 5))?
        .reshape((batch, numbers / 4, height, width))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latents_survive_the_way_to_patches_and_back() {
        let latents =
            Tensor::arange(0_f32, 2.0 * 4.0 * 6.0, &Device::Cpu).unwrap().reshape((1, 2, 4, 6)).unwrap();
        let all = patches(&latents).unwrap();
        assert_eq!(all.dims(), [1, 6, 8]);
        // The second patch of the first row: two channels of 2 x 2.
        let second = all.narrow(1, 1, 1).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(second, [2.0, 3.0, 8.0, 9.0, 26.0, 27.0, 32.0, 33.0]);
        let back = unpatched(&all, 4, 6).unwrap();
        let numbers = |tensor: &Tensor| tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!((back.dims(), numbers(&back)), (latents.dims(), numbers(&latents)));
    }
}
