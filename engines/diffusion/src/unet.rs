//! The denoising network: a U-shaped network with attention to the text.
//!
//! Its blocks are those of `candle-transformers`; the whole is assembled here, since that library's has no further condition,
//! without which Stable Diffusion XL doesn't know the size of the picture.

use candle_core::{D, DType, Device, Module as _, Result, Tensor, bail};
use candle_nn::{Conv2d, Conv2dConfig, GroupNorm, VarBuilder, conv2d, group_norm, ops};
use candle_transformers::models::stable_diffusion::{
    embeddings::TimestepEmbedding,
    unet_2d_blocks::{
        CrossAttnDownBlock2D, CrossAttnDownBlock2DConfig, CrossAttnUpBlock2D, CrossAttnUpBlock2DConfig,
        DownBlock2D, DownBlock2DConfig, UNetMidBlock2DCrossAttn, UNetMidBlock2DCrossAttnConfig, UpBlock2D,
        UpBlock2DConfig,
    },
};

use crate::settings::{Level, UnetSettings};

/// Copies of the attention's scores that are in memory at once: before, in and after the softmax.
const SCORES_COPIES: u64 = 3;
/// Bytes of a score.
const SCORE_BYTES: u64 = 4;

/// The denoising network.
#[derive(Debug)]
pub(crate) struct Unet {
    settings: UnetSettings,
    conv_in: Conv2d,
    time: TimestepEmbedding,
    addition: Option<TimestepEmbedding>,
    down: Vec<Down>,
    middle: UNetMidBlock2DCrossAttn,
    up: Vec<Up>,
    norm_out: GroupNorm,
    conv_out: Conv2d,
    dtype: DType,
}

#[derive(Debug)]
enum Down {
    Plain(DownBlock2D),
    Attending(CrossAttnDownBlock2D),
}

#[derive(Debug)]
enum Up {
    Plain(UpBlock2D),
    Attending(CrossAttnUpBlock2D),
}

/// The condition of a step.
#[derive(Debug, Clone)]
pub(crate) struct Condition {
    /// A vector for each token.
    pub(crate) context: Tensor,
    /// The text as one vector, for a network with a further condition.
    pub(crate) pooled: Option<Tensor>,
}

impl Unet {
    /// Reads the weights of a network.
    ///
    /// # Errors
    /// If a tensor is missing or has another shape.
    pub(crate) fn load(weights: &VarBuilder<'_>, settings: UnetSettings) -> Result<Self> {
        let (Some(first), Some(last)) = (settings.levels.first().copied(), settings.levels.last().copied())
        else {
            bail!("the network has no levels")
        };
        let time_width = 4 * first.channels;
        let padded = Conv2dConfig { padding: 1, ..Conv2dConfig::default() };
        let conv_in = conv2d(settings.in_channels, first.channels, 3, padded, weights.pp("conv_in"))?;
        let time = TimestepEmbedding::new(weights.pp("time_embedding"), first.channels, time_width)?;
        let addition = settings
            .addition
            .map(|(all, _)| TimestepEmbedding::new(weights.pp("add_embedding"), all, time_width))
            .transpose()?;
        let middle_settings = UNetMidBlock2DCrossAttnConfig {
            resnet_eps: settings.epsilon,
            resnet_groups: Some(settings.groups),
            attn_num_head_channels: last.heads,
            cross_attn_dim: settings.context,
            sliced_attention_size: None,
            use_linear_projection: settings.has_linear_projection,
            transformer_layers_per_block: settings.mid_depth,
            ..UNetMidBlock2DCrossAttnConfig::default()
        };
        let middle = weights.pp("mid_block");
        let middle =
            UNetMidBlock2DCrossAttn::new(middle, last.channels, Some(time_width), false, middle_settings)?;
        let mut network = Self {
            conv_in,
            time,
            addition,
            down: Vec::new(),
            middle,
            up: Vec::new(),
            norm_out: group_norm(
                settings.groups,
                first.channels,
                settings.epsilon,
                weights.pp("conv_norm_out"),
            )?,
            conv_out: conv2d(first.channels, settings.out_channels, 3, padded, weights.pp("conv_out"))?,
            dtype: weights.dtype(),
            settings,
        };
        network.load_down(&weights.pp("down_blocks"), time_width)?;
        network.load_up(&weights.pp("up_blocks"), time_width)?;
        Ok(network)
    }

    fn load_down(&mut self, weights: &VarBuilder<'_>, time_width: usize) -> Result<()> {
        let levels = self.settings.levels.clone();
        for (index, level) in levels.iter().enumerate() {
            let from = levels[index.saturating_sub(1)].channels;
            let plain = DownBlock2DConfig {
                num_layers: self.settings.layers,
                resnet_eps: self.settings.epsilon,
                resnet_groups: self.settings.groups,
                add_downsample: index + 1 < levels.len(),
                ..DownBlock2DConfig::default()
            };
            let weights = weights.pp(index);
            self.down.push(match level.depth {
                None => {
                    Down::Plain(DownBlock2D::new(weights, from, level.channels, Some(time_width), plain)?)
                }
                Some(depth) => {
                    let settings = CrossAttnDownBlock2DConfig {
                        downblock: plain,
                        attn_num_head_channels: level.heads,
                        cross_attention_dim: self.settings.context,
                        sliced_attention_size: None,
                        use_linear_projection: self.settings.has_linear_projection,
                        transformer_layers_per_block: depth,
                    };
                    let (to, time) = (level.channels, Some(time_width));
                    Down::Attending(CrossAttnDownBlock2D::new(weights, from, to, time, false, settings)?)
                }
            });
        }
        Ok(())
    }

    fn load_up(&mut self, weights: &VarBuilder<'_>, time_width: usize) -> Result<()> {
        let levels: Vec<Level> = self.settings.levels.iter().rev().copied().collect();
        for (index, level) in levels.iter().enumerate() {
            let before = levels[index.saturating_sub(1)].channels;
            let skipped = levels[(index + 1).min(levels.len() - 1)].channels;
            let plain = UpBlock2DConfig {
                num_layers: self.settings.layers + 1,
                resnet_eps: self.settings.epsilon,
                resnet_groups: self.settings.groups,
                add_upsample: index + 1 < levels.len(),
                ..UpBlock2DConfig::default()
            };
            let (weights, to, time) = (weights.pp(index), level.channels, Some(time_width));
            self.up.push(match level.depth {
                None => Up::Plain(UpBlock2D::new(weights, skipped, before, to, time, plain)?),
                Some(depth) => {
                    let settings = CrossAttnUpBlock2DConfig {
                        upblock: plain,
                        attn_num_head_channels: level.heads,
                        cross_attention_dim: self.settings.context,
                        sliced_attention_size: None,
                        use_linear_projection: self.settings.has_linear_projection,
                        transformer_layers_per_block: depth,
                    };
                    Up::Attending(CrossAttnUpBlock2D::new(
                        weights, skipped, before, to, time, false, settings,
                    )?)
                }
            });
        }
        Ok(())
    }

    /// Channels of the input: the latents', and for a model for masks also those of the mask and of the masked picture.
    pub(crate) fn in_channels(&self) -> usize {
        self.settings.in_channels
    }

    /// Bytes of memory that the attention of a step needs for latents of this height and width: they grow with the square of the
    /// picture's area.
    pub(crate) fn attention_bytes(&self, height: usize, width: usize) -> u64 {
        let levels = self.settings.levels.iter().enumerate().filter(|(_, level)| level.depth.is_some());
        let bytes = levels.map(|(index, level)| {
            let tokens = ((height >> index).max(1) * (width >> index).max(1)) as u64;
            tokens
                .saturating_mul(tokens)
                .saturating_mul(level.heads as u64)
                .saturating_mul(SCORE_BYTES * SCORES_COPIES)
        });
        bytes.max().unwrap_or(0)
    }

    /// Returns whether a condition needs the text as one vector, and the picture's size.
    pub(crate) fn has_addition(&self) -> bool {
        self.addition.is_some()
    }

    /// Predicts the noise (or the velocity) in `latents` at `time`. `size` is the picture's height and width in pixels.
    ///
    /// # Errors
    /// If the computation fails.
    pub(crate) fn predict(
        &self,
        latents: &Tensor,
        time: f64,
        condition: &Condition,
        size: (usize, usize),
    ) -> Result<Tensor> {
        let device = latents.device();
        let mut embedded = self.embed_time(time, device)?;
        if let Some(addition) = self.embed_addition(condition, size, device)? {
            embedded = (embedded + addition)?;
        }
        let (embedded, context) = (Some(&embedded), Some(&condition.context));
        let mut states = self.conv_in.forward(&latents.to_dtype(self.dtype)?)?;
        let mut skipped = vec![states.clone()];
        for block in &self.down {
            let (next, outputs) = match block {
                Down::Plain(block) => block.forward(&states, embedded)?,
                Down::Attending(block) => block.forward(&states, embedded, context)?,
            };
            skipped.extend(outputs);
            states = next;
        }
        states = self.middle.forward(&states, embedded, context)?;
        for block in &self.up {
            let residuals = skipped.split_off(skipped.len() - self.settings.layers - 1);
            // A side that was rounded down is restored by the size of the level above.
            let above =
                skipped.last().map(Tensor::dims4).transpose()?.map(|(_, _, height, width)| (height, width));
            states = match block {
                Up::Plain(block) => block.forward(&states, &residuals, embedded, above)?,
                Up::Attending(block) => block.forward(&states, &residuals, embedded, above, context)?,
            };
        }
        let states = ops::silu(&self.norm_out.forward(&states)?)?;
        self.conv_out.forward(&states)?.to_dtype(DType::F32)
    }

    fn embed_time(&self, time: f64, device: &Device) -> Result<Tensor> {
        let width = self.settings.levels.first().map_or(0, |level| level.channels);
        self.time.forward(&sinusoids(&[time], width, device)?.to_dtype(self.dtype)?)
    }

    /// The pooled text, and the sizes: of the original picture, of the corner that was cut off, and of the target.
    fn embed_addition(
        &self,
        condition: &Condition,
        (height, width): (usize, usize),
        device: &Device,
    ) -> Result<Option<Tensor>> {
        let (Some(addition), Some((_, each)), Some(pooled)) =
            (&self.addition, self.settings.addition, &condition.pooled)
        else {
            return Ok(None);
        };
        let (height, width) = (height as f64, width as f64);
        let sizes =
            sinusoids(&[height, width, 0.0, 0.0, height, width], each, device)?.reshape((1, 6 * each))?;
        let all = Tensor::cat(&[pooled.to_dtype(DType::F32)?, sizes], D::Minus1)?;
        addition.forward(&all.to_dtype(self.dtype)?).map(Some)
    }
}

/// Each number as cosines and sines of falling frequencies.
///
/// # Errors
/// If the computation fails.
pub(crate) fn sinusoids(numbers: &[f64], width: usize, device: &Device) -> Result<Tensor> {
    let half = width / 2;
    let frequencies: Vec<f64> =
        (0..half).map(|index| (-(10_000_f64.ln()) * index as f64 / half as f64).exp()).collect();
    let row = |number: &f64| {
        let angles: Vec<f64> = frequencies.iter().map(|frequency| number * frequency).collect();
        let cosines = angles.iter().map(|angle| angle.cos() as f32);
        let sines = angles.iter().map(|angle| angle.sin() as f32);
        let mut row: Vec<f32> = cosines.chain(sines).collect();
        row.resize(width, 0.0);
        row
    };
    let all: Vec<f32> = numbers.iter().flat_map(row).collect();
    Tensor::from_vec(all, (numbers.len(), width), device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_embedded_as_cosines_and_sines() {
        let row = sinusoids(&[0.0, 2.0], 4, &Device::Cpu).unwrap().to_vec2::<f32>().unwrap();
        assert_eq!(row[0], [1.0, 1.0, 0.0, 0.0]);
        let expected = [2_f32.cos(), 0.02_f32.cos(), 2_f32.sin(), 0.02_f32.sin()];
        assert!(row[1].iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{:?}", row[1]);
    }
}
