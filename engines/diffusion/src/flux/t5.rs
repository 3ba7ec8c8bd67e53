//! The encoder of T5 v1.1 (Raffel et al. 2020, <https://arxiv.org/abs/1910.10683>; v1.1 has gated feed-forward layers): the
//! prompt as a vector for each token.

use candle_core::{D, DType, Device, Module as _, Result, Tensor};
use candle_nn::{RmsNorm, ops};

use super::{matrix::Matrix, part_file::PartFile};

const NORM_EPSILON: f64 = 1e-6;
/// Distance of two tokens from which on all distances are in the last bucket. All sizes of T5 have this one.
const DISTANCE_MAX: usize = 128;
/// Limit of a dimension, and of the number of layers: more than any size of T5 has.
const DIMENSION_MAX: usize = 1 << 20;
const LAYERS_MAX_COUNT: usize = 256;

/// The encoder of T5.
#[derive(Debug)]
pub(crate) struct T5Encoder {
    tokens: Matrix,
    layers: Vec<Layer>,
    norm: RmsNorm,
    /// A number for each bucket of distances and each head.
    distances: Tensor,
    heads: usize,
    pub(crate) vocabulary: usize,
    pub(crate) width: usize,
}

#[derive(Debug)]
struct Layer {
    attention_norm: RmsNorm,
    query: Matrix,
    key: Matrix,
    value: Matrix,
    out: Matrix,
    norm: RmsNorm,
    gate: Matrix,
    inner: Matrix,
    outer: Matrix,
}

/// The names of the tensors in a file.
#[derive(Debug, Clone, Copy)]
enum Names {
    /// The names of llama.cpp.
    Llama,
    /// The names of the library transformers.
    Transformers,
}

impl Names {
    fn of(file: &PartFile) -> Self {
        if file.gguf().is_some() { Self::Llama } else { Self::Transformers }
    }

    fn tokens(self) -> &'static str {
        match self {
            Self::Llama => "token_embd.weight",
            Self::Transformers => "shared.weight",
        }
    }

    fn norm(self) -> &'static str {
        match self {
            Self::Llama => "enc.output_norm.weight",
            Self::Transformers => "encoder.final_layer_norm.weight",
        }
    }

    /// A tensor of a layer by its name of llama.cpp.
    fn layer(self, layer: usize, tensor: &str) -> String {
        match self {
            Self::Llama => format!("enc.blk.{layer}.{tensor}.weight"),
            Self::Transformers => {
                let tensor = match tensor {
                    "attn_norm" => "layer.0.layer_norm",
                    "attn_q" => "layer.0.SelfAttention.q",
                    "attn_k" => "layer.0.SelfAttention.k",
                    "attn_v" => "layer.0.SelfAttention.v",
                    "attn_o" => "layer.0.SelfAttention.o",
                    "attn_rel_b" => "layer.0.SelfAttention.relative_attention_bias",
                    "ffn_norm" => "layer.1.layer_norm",
                    "ffn_gate" => "layer.1.DenseReluDense.wi_0",
                    "ffn_up" => "layer.1.DenseReluDense.wi_1",
                    "ffn_down" => "layer.1.DenseReluDense.wo",
                    other => other,
                };
                format!("encoder.block.{layer}.{tensor}.weight")
            }
        }
    }
}

impl T5Encoder {
    /// Reads the weights of an encoder, whose dimensions follow from the tensors' shapes.
    ///
    /// # Errors
    /// The reason why they can't be used.
    pub(crate) fn load(file: &PartFile) -> std::result::Result<Self, String> {
        let names = Names::of(file);
        let (vocabulary, width) = (file.dimension(names.tokens(), 0)?, file.dimension(names.tokens(), 1)?);
        let (distances, inner) =
            (names.layer(0, "attn_rel_b"), file.dimension(&names.layer(0, "ffn_gate"), 0)?);
        let (buckets, heads) = (file.dimension(&distances, 0)?, file.dimension(&distances, 1)?);
        let attention = file.dimension(&names.layer(0, "attn_q"), 0)?;
        let layers = (0..=LAYERS_MAX_COUNT)
            .take_while(|layer| file.shape(&names.layer(*layer, "attn_q")).is_some())
            .count();
        let numbers = [vocabulary, width, inner, buckets, heads, attention];
        if numbers.iter().any(|number| !(1..=DIMENSION_MAX).contains(number))
            || !(1..=LAYERS_MAX_COUNT).contains(&layers)
            || !attention.is_multiple_of(heads)
            || !buckets.is_multiple_of(4)
        {
            return Err("the dimensions of its tensors don't fit each other".to_owned());
        }
        let load = || -> Result<Self> {
            let norm = |name: &str| {
                Ok::<_, candle_core::Error>(RmsNorm::new(file.numbers(name, &[width])?, NORM_EPSILON))
            };
            let layer = |index: usize| -> Result<Layer> {
                let name = |tensor: &str| names.layer(index, tensor);
                Ok(Layer {
                    attention_norm: norm(&name("attn_norm"))?,
                    query: file.matrix(&name("attn_q"), attention, width)?,
                    key: file.matrix(&name("attn_k"), attention, width)?,
                    value: file.matrix(&name("attn_v"), attention, width)?,
                    out: file.matrix(&name("attn_o"), width, attention)?,
                    norm: norm(&name("ffn_norm"))?,
                    gate: file.matrix(&name("ffn_gate"), inner, width)?,
                    inner: file.matrix(&name("ffn_up"), inner, width)?,
                    outer: file.matrix(&name("ffn_down"), width, inner)?,
                })
            };
            Ok(Self {
                tokens: file.matrix(names.tokens(), vocabulary, width)?,
                layers: (0..layers).map(layer).collect::<Result<_>>()?,
                norm: norm(names.norm())?,
                distances: file.numbers(&distances, &[buckets, heads])?,
                heads,
                vocabulary,
                width,
            })
        };
        load().map_err(|error| error.to_string())
    }

    /// Encodes tokens: 1 x tokens x width.
    ///
    /// # Errors
    /// If the computation fails.
    pub(crate) fn encode(&self, tokens: &[u32]) -> Result<Tensor> {
        let device = self.distances.device();
        let bias = self.bias(tokens.len(), device)?;
        let mut states = self.tokens.rows(&Tensor::new(tokens, device)?)?.unsqueeze(0)?;
        for layer in &self.layers {
            states = layer.forward(&states, &bias, self.heads)?;
        }
        self.norm.forward(&states)
    }

    /// The summands of the scores for the distances of tokens: 1 x heads x tokens x tokens.
    fn bias(&self, length: usize, device: &Device) -> Result<Tensor> {
        let buckets = self.distances.dim(0)?;
        let ids: Vec<u32> = (0..length)
            .flat_map(|query| (0..length).map(move |key| distance_bucket(query, key, buckets)))
            .collect();
        let numbers = self.distances.index_select(&Tensor::from_vec(ids, length * length, device)?, 0)?;
        numbers.reshape((length, length, self.heads))?.permute((2, 0, 1))?.unsqueeze(0)?.contiguous()
    }
}

impl Layer {
    fn forward(&self, states: &Tensor, bias: &Tensor, heads: usize) -> Result<Tensor> {
        let states = (states + self.attend(&self.attention_norm.forward(states)?, bias, heads)?)?;
        let normalised = self.norm.forward(&states)?;
        let gated = (self.gate.forward(&normalised)?.gelu()? * self.inner.forward(&normalised)?)?;
        states + self.outer.forward(&gated)?
    }

    /// T5 doesn't scale its scores: the weights were trained for that.
    fn attend(&self, states: &Tensor, bias: &Tensor, heads: usize) -> Result<Tensor> {
        let (batch, length, _) = states.dims3()?;
        let split = |matrix: &Matrix| {
            matrix.forward(states)?.reshape((batch, length, heads, ()))?.transpose(1, 2)?.contiguous()
        };
        let (query, key, value) = (split(&self.query)?, split(&self.key)?, split(&self.value)?);
        let scores = query.matmul(&key.transpose(2, 3)?)?.to_dtype(DType::F32)?.broadcast_add(bias)?;
        let mixed = ops::softmax_last_dim(&scores)?.matmul(&value)?;
        self.out.forward(&mixed.transpose(1, 2)?.contiguous()?.flatten_from(D::Minus2)?)
    }
}

/// The bucket of the distance from a token to another: one for each small distance, and a logarithmic one for larger distances;
/// one half of the buckets is for the tokens before, the other for those after. As transformers'
/// `_relative_position_bucket`.
fn distance_bucket(query: usize, key: usize, buckets: usize) -> u32 {
    let half = buckets / 2;
    let (distance, exact) = (query.abs_diff(key), half / 2);
    let bucket = if distance < exact {
        distance
    } else {
        let share = (distance as f32 / exact as f32).ln() / (DISTANCE_MAX as f32 / exact as f32).ln();
        (exact + (share * (half - exact) as f32) as usize).min(half - 1)
    };
    let bucket = if key > query { bucket + half } else { bucket };
    u32::try_from(bucket).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers of transformers' `T5Attention._relative_position_bucket` for an encoder with 32 buckets.
    #[test]
    fn buckets_of_distances_are_those_of_transformers() {
        let before: Vec<u32> = (0..20).map(|distance| distance_bucket(200, 200 - distance, 32)).collect();
        assert_eq!(before, [0, 1, 2, 3, 4, 5, 6, 7, 8, 8, 8, 8, 9, 9, 9, 9, 10, 10, 10, 10]);
        let after: Vec<u32> = [1, 7, 8, 12, 16, 23, 32, 46, 64, 91, 128, 199]
            .map(|distance| distance_bucket(0, distance, 32))
            .to_vec();
        assert_eq!(after, [17, 23, 24, 25, 26, 27, 28, 29, 30, 31, 31, 31]);
    }
}
