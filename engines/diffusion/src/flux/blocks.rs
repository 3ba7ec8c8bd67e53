//! The blocks of the transformer (`flux/modules/layers.py` of Black Forest Labs).

use candle_core::{D, IndexOp as _, Module as _, Result, Tensor};
use candle_nn::{LayerNorm, RmsNorm};

use super::{
    attention::{Positions, attend},
    matrix::Linear,
    part_file::PartFile,
    settings::TransformerSettings,
};

const NORM_EPSILON: f64 = 1e-6;

/// Shift, scale and gate of a layer, by the time and the text.
struct Modulation {
    shift: Tensor,
    scale: Tensor,
    gate: Tensor,
}

impl Modulation {
    /// The modulations that `layer` computes from the condition of a step: three vectors for each.
    fn of<const N: usize>(layer: &Linear, condition: &Tensor) -> Result<[Self; N]> {
        let vectors = layer.forward(&condition.silu()?)?.chunk(3 * N, D::Minus1)?;
        let vector = |index: usize| vectors[index].contiguous();
        let mut modulations = Vec::with_capacity(N);
        for index in 0..N {
            let (shift, scale, gate) = (vector(3 * index)?, vector(3 * index + 1)?, vector(3 * index + 2)?);
            modulations.push(Self { shift, scale, gate });
        }
        modulations.try_into().map_err(|_| candle_core::Error::Msg("a modulation is missing".to_owned()))
    }

    /// Normalises, scales and shifts the states.
    fn apply(&self, norm: &LayerNorm, states: &Tensor) -> Result<Tensor> {
        modulate(norm, states, &self.scale, &self.shift)
    }

    /// Adds a layer's output to the states, as far as the gate is open.
    fn add(&self, states: &Tensor, output: &Tensor) -> Result<Tensor> {
        states + output.broadcast_mul(&self.gate)?
    }
}

/// Normalises, scales and shifts the states.
pub(super) fn modulate(norm: &LayerNorm, states: &Tensor, scale: &Tensor, shift: &Tensor) -> Result<Tensor> {
    norm.forward(states)?.broadcast_mul(&(scale + 1.0)?)?.broadcast_add(shift)
}

/// A norm without weights of its own.
pub(super) fn plain_norm(file: &PartFile, width: usize) -> Result<LayerNorm> {
    let ones = Tensor::ones(width, candle_core::DType::F32, file.device())?;
    let zeros = ones.zeros_like()?;
    Ok(LayerNorm::new(ones, zeros, NORM_EPSILON))
}

/// Norms of queries and keys.
#[derive(Debug)]
struct HeadNorms {
    query: RmsNorm,
    key: RmsNorm,
    heads: usize,
}

impl HeadNorms {
    fn load(file: &PartFile, name: &str, settings: &TransformerSettings) -> Result<Self> {
        let norm = |kind: &str| {
            let scale = file.numbers(&format!("{name}.{kind}_norm.scale"), &[settings.head])?;
            Ok::<_, candle_core::Error>(RmsNorm::new(scale, NORM_EPSILON))
        };
        Ok(Self { query: norm("query")?, key: norm("key")?, heads: settings.heads() })
    }

    /// Splits tokens of three times the width into normalised queries, normalised keys and values: batch x heads x tokens x
    /// numbers.
    fn split(&self, tokens: &Tensor) -> Result<[Tensor; 3]> {
        let (batch, length, width) = tokens.dims3()?;
        let tokens = tokens.reshape((batch, length, 3, self.heads, width / 3 / self.heads))?;
        let kind = |index: usize| tokens.i((.., .., index))?.transpose(1, 2)?.contiguous();
        Ok([self.query.forward(&kind(0)?)?, self.key.forward(&kind(1)?)?, kind(2)?])
    }
}

/// The half of a double block for the text or the picture.
#[derive(Debug)]
struct Stream {
    modulation: Linear,
    norm: LayerNorm,
    tokens: Linear,
    head_norms: HeadNorms,
    out: Linear,
    inner: Linear,
    outer: Linear,
}

impl Stream {
    fn load(file: &PartFile, name: &str, settings: &TransformerSettings) -> Result<Self> {
        let (width, inner) = (settings.width, settings.inner);
        Ok(Self {
            modulation: file.linear(&format!("{name}_mod.lin"), 6 * width, width)?,
            norm: plain_norm(file, width)?,
            tokens: file.linear(&format!("{name}_attn.qkv"), 3 * width, width)?,
            head_norms: HeadNorms::load(file, &format!("{name}_attn.norm"), settings)?,
            out: file.linear(&format!("{name}_attn.proj"), width, width)?,
            inner: file.linear(&format!("{name}_mlp.0"), inner, width)?,
            outer: file.linear(&format!("{name}_mlp.2"), width, inner)?,
        })
    }

    fn add_feed_forward(&self, states: &Tensor, modulation: &Modulation) -> Result<Tensor> {
        let inner = self.inner.forward(&modulation.apply(&self.norm, states)?)?;
        modulation.add(states, &self.outer.forward(&inner.gelu()?)?)
    }
}

/// A block in which text and picture have weights of their own, and attend to each other.
#[derive(Debug)]
pub(super) struct DoubleBlock {
    picture: Stream,
    text: Stream,
}

impl DoubleBlock {
    pub(super) fn load(file: &PartFile, name: &str, settings: &TransformerSettings) -> Result<Self> {
        let stream = |kind: &str| Stream::load(file, &format!("{name}.{kind}"), settings);
        Ok(Self { picture: stream("img")?, text: stream("txt")? })
    }

    /// Returns the picture's and the text's states after the block.
    pub(super) fn forward(
        &self,
        picture: &Tensor,
        text: &Tensor,
        condition: &Tensor,
        positions: &Positions,
    ) -> Result<(Tensor, Tensor)> {
        let of_picture: [Modulation; 2] = Modulation::of(&self.picture.modulation, condition)?;
        let of_text: [Modulation; 2] = Modulation::of(&self.text.modulation, condition)?;
        let split = |stream: &Stream, modulation: &Modulation, states: &Tensor| {
            stream.head_norms.split(&stream.tokens.forward(&modulation.apply(&stream.norm, states)?)?)
        };
        let of_pictures = split(&self.picture, &of_picture[0], picture)?;
        let of_texts = split(&self.text, &of_text[0], text)?;
        let joined = |index: usize| Tensor::cat(&[&of_texts[index], &of_pictures[index]], 2);
        let mixed = attend(&joined(0)?, &joined(1)?, &joined(2)?, positions)?;
        let length = text.dim(1)?;
        let mixed_text = mixed.narrow(1, 0, length)?;
        let mixed_picture = mixed.narrow(1, length, mixed.dim(1)? - length)?;
        let picture = of_picture[0].add(picture, &self.picture.out.forward(&mixed_picture)?)?;
        let text = of_text[0].add(text, &self.text.out.forward(&mixed_text)?)?;
        Ok((
            self.picture.add_feed_forward(&picture, &of_picture[1])?,
            self.text.add_feed_forward(&text, &of_text[1])?,
        ))
    }
}

/// A block with the same weights for text and picture. Attention and feed-forward layer are computed beside each other.
#[derive(Debug)]
pub(super) struct SingleBlock {
    modulation: Linear,
    norm: LayerNorm,
    /// Queries, keys, values, and the inner numbers of the feed-forward layer.
    first: Linear,
    second: Linear,
    head_norms: HeadNorms,
    width: usize,
    inner: usize,
}

impl SingleBlock {
    pub(super) fn load(file: &PartFile, name: &str, settings: &TransformerSettings) -> Result<Self> {
        let (width, inner) = (settings.width, settings.inner);
        Ok(Self {
            modulation: file.linear(&format!("{name}.modulation.lin"), 3 * width, width)?,
            norm: plain_norm(file, width)?,
            first: file.linear(&format!("{name}.linear1"), 3 * width + inner, width)?,
            second: file.linear(&format!("{name}.linear2"), width, width + inner)?,
            head_norms: HeadNorms::load(file, &format!("{name}.norm"), settings)?,
            width,
            inner,
        })
    }

    /// Returns the states after the block.
    pub(super) fn forward(
        &self,
        states: &Tensor,
        condition: &Tensor,
        positions: &Positions,
    ) -> Result<Tensor> {
        let [modulation]: [Modulation; 1] = Modulation::of(&self.modulation, condition)?;
        let first = self.first.forward(&modulation.apply(&self.norm, states)?)?;
        let [query, key, value] = self.head_norms.split(&first.narrow(D::Minus1, 0, 3 * self.width)?)?;
        let inner = first.narrow(D::Minus1, 3 * self.width, self.inner)?.contiguous()?.gelu()?;
        let mixed = attend(&query, &key, &value, positions)?;
        modulation.add(states, &self.second.forward(&Tensor::cat(&[mixed, inner], D::Minus1)?)?)
    }
}
