//! CLIP's text encoder, as transformers' `modeling_clip.py` has it: the prompt as a condition of the picture.

use candle_core::{D, DType, Device, IndexOp as _, Module as _, Result, Tensor};
use candle_nn::{
    Embedding, LayerNorm, Linear, VarBuilder, embedding, layer_norm, linear, linear_no_bias, ops,
};

use crate::settings::TextSettings;

const NORM_EPSILON: f64 = 1e-5;

/// A text encoder.
#[derive(Debug)]
pub(crate) struct TextEncoder {
    tokens: Embedding,
    positions: Tensor,
    layers: Vec<Layer>,
    norm: LayerNorm,
    projection: Option<Linear>,
    /// Tokens of a text at once.
    pub(crate) length: usize,
    pub(crate) vocabulary: usize,
    /// Numbers of a token.
    pub(crate) width: usize,
}

/// The result of encoding one window of tokens.
pub(crate) struct Encoded {
    /// The last layer's output for each token, normalised.
    pub(crate) last: Tensor,
    /// The output of the layer before the last.
    pub(crate) penultimate: Tensor,
    /// The text as one vector, if the encoder has a projection.
    pub(crate) pooled: Option<Tensor>,
}

#[derive(Debug)]
struct Layer {
    norm_1: LayerNorm,
    query: Linear,
    key: Linear,
    value: Linear,
    out: Linear,
    norm_2: LayerNorm,
    inner: Linear,
    outer: Linear,
    heads: usize,
    is_quick: bool,
}

impl TextEncoder {
    /// Reads the weights of an encoder.
    ///
    /// # Errors
    /// If a tensor is missing or has another shape.
    pub(crate) fn load(weights: &VarBuilder<'_>, settings: &TextSettings) -> Result<Self> {
        let model = weights.pp("text_model");
        let embeddings = model.pp("embeddings");
        let width = settings.width;
        let layers = (0..settings.layers)
            .map(|index| Layer::load(&model.pp("encoder.layers").pp(index), settings))
            .collect::<Result<_>>()?;
        let projection = settings
            .projection
            .map(|to| linear_no_bias(width, to, weights.pp("text_projection")))
            .transpose()?;
        Ok(Self {
            tokens: embedding(settings.vocabulary, width, embeddings.pp("token_embedding"))?,
            positions: embeddings.get((settings.positions, width), "position_embedding.weight")?,
            layers,
            norm: layer_norm(width, NORM_EPSILON, model.pp("final_layer_norm"))?,
            projection,
            length: settings.positions,
            vocabulary: settings.vocabulary,
            width,
        })
    }

    /// Encodes a window of exactly [`Self::length`] tokens, whose text ends at the index `end`.
    ///
    /// # Errors
    /// If the computation fails.
    pub(crate) fn encode(&self, window: &[u32], end: usize) -> Result<Encoded> {
        let device = self.positions.device();
        let ids = Tensor::new(window, device)?;
        let mut states = (self.tokens.forward(&ids)? + &self.positions)?.unsqueeze(0)?;
        let mask = causal_mask(window.len(), states.dtype(), device)?;
        let mut penultimate = states.clone();
        for layer in &self.layers {
            penultimate = states;
            states = layer.forward(&penultimate, &mask)?;
        }
        let last = self.norm.forward(&states)?;
        let pooled = match &self.projection {
            Some(projection) => Some(projection.forward(&last.i((.., end, ..))?)?),
            None => None,
        };
        Ok(Encoded { last, penultimate, pooled })
    }
}

impl Layer {
    fn load(weights: &VarBuilder<'_>, settings: &TextSettings) -> Result<Self> {
        let (width, attention) = (settings.width, weights.pp("self_attn"));
        Ok(Self {
            norm_1: layer_norm(width, NORM_EPSILON, weights.pp("layer_norm1"))?,
            query: linear(width, width, attention.pp("q_proj"))?,
            key: linear(width, width, attention.pp("k_proj"))?,
            value: linear(width, width, attention.pp("v_proj"))?,
            out: linear(width, width, attention.pp("out_proj"))?,
            norm_2: layer_norm(width, NORM_EPSILON, weights.pp("layer_norm2"))?,
            inner: linear(width, settings.inner, weights.pp("mlp.fc1"))?,
            outer: linear(settings.inner, width, weights.pp("mlp.fc2"))?,
            heads: settings.heads,
            is_quick: settings.is_quick,
        })
    }

    fn forward(&self, states: &Tensor, mask: &Tensor) -> Result<Tensor> {
        let states = (self.attend(&self.norm_1.forward(states)?, mask)? + states)?;
        let inner = self.inner.forward(&self.norm_2.forward(&states)?)?;
        let active =
            if self.is_quick { (&inner * ops::sigmoid(&(&inner * 1.702)?)?)? } else { inner.gelu_erf()? };
        self.outer.forward(&active)? + states
    }

    fn attend(&self, states: &Tensor, mask: &Tensor) -> Result<Tensor> {
        let (batch, length, width) = states.dims3()?;
        let head = width / self.heads;
        let split =
            |tensor: Tensor| tensor.reshape((batch, length, self.heads, head))?.transpose(1, 2)?.contiguous();
        let query = split((self.query.forward(states)? * (head as f64).powf(-0.5))?)?;
        let key = split(self.key.forward(states)?)?;
        let value = split(self.value.forward(states)?)?;
        let scores = query.matmul(&key.transpose(2, 3)?.contiguous()?)?.broadcast_add(mask)?;
        let weights = ops::softmax(&scores, D::Minus1)?;
        let mixed = weights.matmul(&value)?.transpose(1, 2)?.reshape((batch, length, width))?;
        self.out.forward(&mixed)
    }
}

/// Hides later tokens from each token.
fn causal_mask(length: usize, dtype: DType, device: &Device) -> Result<Tensor> {
    let mask: Vec<f32> = (0..length)
        .flat_map(|row| (0..length).map(move |column| if column > row { f32::NEG_INFINITY } else { 0.0 }))
        .collect();
    Tensor::from_vec(mask, (1, 1, length, length), device)?.to_dtype(dtype)
}
