//! The expected results of the self-test: the same models, computed by scalar code without a backend.
//!
//! The weights are dequantized by libggml-base, whose code is the definition of the types, and the rest is 32-bit arithmetic
//! in Rust: no code of a backend is part of it. A backend rounds activations to eight bits, so its results differ a little.

use super::{
    model_file::{self, HEADS, KEY_HEADS, NORM_EPSILON, Tensor, WIDTH},
    weights::Case,
};
use crate::backends::ffi::dequantize;

const WIDTH_LENGTH: usize = WIDTH as usize;
/// Size of a head.
const HEAD_LENGTH: usize = WIDTH_LENGTH / HEADS as usize;
/// Base of the angles by which positions rotate queries and keys: llama.cpp's default.
const ROPE_BASE: f32 = 10_000.0;

/// A model of the test, with its weights as numbers. A matrix has its rows in order.
pub(super) struct Reference {
    embedding: Vec<f32>,
    attention_norm: Vec<f32>,
    query: Vec<f32>,
    key: Vec<f32>,
    value: Vec<f32>,
    attention_output: Vec<f32>,
    feed_forward_norm: Vec<f32>,
    /// The matrix that weighs the experts, if there are several.
    router: Option<Vec<f32>>,
    experts: Vec<Expert>,
    output_norm: Vec<f32>,
    output: Vec<f32>,
}

/// A feed-forward block.
struct Expert {
    gate: Vec<f32>,
    up: Vec<f32>,
    down: Vec<f32>,
}

impl Reference {
    /// Reads the weights of a case.
    ///
    /// # Errors
    /// If ggml can't dequantize its type.
    pub(super) fn new(case: &Case) -> Result<Self, String> {
        let tensors = model_file::weights(case);
        let find = |name: &str| tensors.iter().find(|(tensor, _)| tensor.name == name);
        let numbers = |name: &str| find(name).ok_or_else(|| format!("no tensor {name}")).and_then(read);
        let stack = |name: &str| match case.experts {
            None => Ok(vec![numbers(&format!("blk.0.{name}.weight"))?]),
            Some(_) => {
                let all = numbers(&format!("blk.0.{name}_exps.weight"))?;
                Ok::<_, String>(all.chunks(WIDTH_LENGTH * WIDTH_LENGTH).map(<[f32]>::to_vec).collect())
            }
        };
        let matrices = stack("ffn_gate")?.into_iter().zip(stack("ffn_up")?).zip(stack("ffn_down")?);
        let experts = matrices.map(|((gate, up), down)| Expert { gate, up, down }).collect();
        let router = case.experts.map(|_| numbers("blk.0.ffn_gate_inp.weight"));
        Ok(Self {
            embedding: numbers("token_embd.weight")?,
            attention_norm: numbers("blk.0.attn_norm.weight")?,
            query: numbers("blk.0.attn_q.weight")?,
            key: numbers("blk.0.attn_k.weight")?,
            value: numbers("blk.0.attn_v.weight")?,
            attention_output: numbers("blk.0.attn_output.weight")?,
            feed_forward_norm: numbers("blk.0.ffn_norm.weight")?,
            router: router.transpose()?,
            experts,
            output_norm: numbers("output_norm.weight")?,
            output: numbers("output.weight")?,
        })
    }

    /// Returns the logits after each of `tokens`.
    pub(super) fn logits(&self, tokens: &[usize]) -> Vec<f32> {
        let (mut keys, mut values, mut logits) = (Vec::new(), Vec::new(), Vec::new());
        for (position, token) in tokens.iter().enumerate() {
            let mut state = self.embedding[token * WIDTH_LENGTH..][..WIDTH_LENGTH].to_vec();
            let input = normalized(&state, &self.attention_norm);
            let mut key = product(&self.key, &input);
            rotate(&mut key, position);
            keys.push(key);
            values.push(product(&self.value, &input));
            let mut query = product(&self.query, &input);
            rotate(&mut query, position);
            add(&mut state, &product(&self.attention_output, &attention(&query, &keys, &values)));
            let input = normalized(&state, &self.feed_forward_norm);
            add(&mut state, &self.feed_forward(&input));
            logits.extend(product(&self.output, &normalized(&state, &self.output_norm)));
        }
        logits
    }

    fn feed_forward(&self, input: &[f32]) -> Vec<f32> {
        let shares = match &self.router {
            Some(router) => softmax(&product(router, input)),
            None => vec![1.0],
        };
        let mut sum = vec![0.0; WIDTH_LENGTH];
        for (expert, share) in self.experts.iter().zip(shares) {
            let gates = product(&expert.gate, input).into_iter();
            let inner = gates.zip(product(&expert.up, input)).map(|(gate, up)| silu(gate) * up * share);
            add(&mut sum, &product(&expert.down, &inner.collect::<Vec<f32>>()));
        }
        sum
    }
}

fn read((tensor, blocks): &(Tensor, Vec<u8>)) -> Result<Vec<f32>, String> {
    dequantize(tensor.kind, blocks, tensor.weights() as usize)
}

/// Attention of one position's query to the keys up to there. Neighbouring heads share a key head.
fn attention(query: &[f32], keys: &[Vec<f32>], values: &[Vec<f32>]) -> Vec<f32> {
    let mut output = Vec::with_capacity(WIDTH_LENGTH);
    for (head, query) in query.chunks(HEAD_LENGTH).enumerate() {
        let key_head = head / (HEADS / KEY_HEADS) as usize;
        let part = key_head * HEAD_LENGTH..(key_head + 1) * HEAD_LENGTH;
        let scale = (HEAD_LENGTH as f32).sqrt();
        let scores: Vec<f32> = keys.iter().map(|key| dot(query, &key[part.clone()]) / scale).collect();
        let mut sum = vec![0.0; HEAD_LENGTH];
        for (value, share) in values.iter().zip(softmax(&scores)) {
            let weighted: Vec<f32> = value[part.clone()].iter().map(|number| number * share).collect();
            add(&mut sum, &weighted);
        }
        output.extend(sum);
    }
    output
}

/// Rotates each pair of neighbouring numbers of each head by an angle that grows with the position.
fn rotate(heads: &mut [f32], position: usize) {
    for head in heads.chunks_mut(HEAD_LENGTH) {
        for (n, pair) in head.chunks_exact_mut(2).enumerate() {
            let angle = position as f32 * ROPE_BASE.powf(-2.0 * n as f32 / HEAD_LENGTH as f32);
            let (sine, cosine) = angle.sin_cos();
            let (first, second) = (pair[0], pair[1]);
            pair[0] = first * cosine - second * sine;
            pair[1] = first * sine + second * cosine;
        }
    }
}

/// Divides by the root mean square, and multiplies by the weights of a normalisation.
fn normalized(numbers: &[f32], weights: &[f32]) -> Vec<f32> {
    let scale = (dot(numbers, numbers) / numbers.len() as f32 + NORM_EPSILON).sqrt().recip();
    numbers.iter().zip(weights).map(|(number, weight)| number * scale * weight).collect()
}

/// The product of a matrix with rows of the vector's length, and the vector.
fn product(matrix: &[f32], vector: &[f32]) -> Vec<f32> {
    matrix.chunks_exact(vector.len()).map(|row| dot(row, vector)).collect()
}

/// The dot product of vectors whose length is a multiple of 8. Eight sums, so that the compiler may use vector instructions,
/// and written out, since a loop takes ten times as long in a build without optimisation.
fn dot(one: &[f32], other: &[f32]) -> f32 {
    let mut sums = [0.0_f32; 8];
    for (one, other) in one.as_chunks::<8>().0.iter().zip(other.as_chunks::<8>().0) {
        sums[0] += one[0] * other[0];
        sums[1] += one[1] * other[1];
        sums[2] += one[2] * other[2];
        sums[3] += one[3] * other[3];
        sums[4] += one[4] * other[4];
        sums[5] += one[5] * other[5];
        sums[6] += one[6] * other[6];
        sums[7] += one[7] * other[7];
    }
    sums.iter().sum()
}

fn softmax(numbers: &[f32]) -> Vec<f32> {
    let largest = numbers.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f32> = numbers.iter().map(|number| (number - largest).exp()).collect();
    let sum: f32 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

fn silu(number: f32) -> f32 {
    number / (1.0 + (-number).exp())
}

fn add(sum: &mut [f32], numbers: &[f32]) {
    sum.iter_mut().zip(numbers).for_each(|(sum, number)| *sum += number);
}

#[cfg(test)]
mod tests {
    use super::{super::weights::CASES, *};

    #[test]
    fn weights_of_every_type_have_a_models_deviation() {
        for case in &CASES {
            for tensor in model_file::weights(case).iter().filter(|(tensor, _)| tensor.kind == case.kind) {
                let numbers = read(tensor).unwrap_or_else(|error| panic!("{}: {error}", case.name));
                let deviation = (numbers.iter().map(|x| x * x).sum::<f32>() / numbers.len() as f32).sqrt();
                let is_vector = numbers.len() == WIDTH_LENGTH;
                assert!(is_vector || (0.045..0.08).contains(&deviation), "{}: {deviation}", case.name);
            }
        }
    }

    #[test]
    fn first_position_attends_to_itself_alone() {
        let case = &CASES[0];
        let reference = Reference::new(case).unwrap();
        let (one, three) = (reference.logits(&[7]), reference.logits(&[7, 9, 7]));
        assert_eq!(one, three[..WIDTH_LENGTH]);
        assert_ne!(one, three[2 * WIDTH_LENGTH..]);
        assert!(three.iter().all(|logit| logit.is_finite() && logit.abs() < 100.0));
    }

    #[test]
    fn rotation_keeps_the_angle_between_positions() {
        let heads: Vec<f32> = (0..2 * HEAD_LENGTH).map(|n| (n as f32 * 0.37).sin()).collect();
        let rotated = |position| {
            let mut heads = heads.clone();
            rotate(&mut heads, position);
            heads
        };
        assert_eq!(rotated(0), heads);
        let (near, far) = (dot(&rotated(3), &rotated(5)), dot(&rotated(30), &rotated(32)));
        assert!((near - far).abs() < 1e-3, "{near} {far}");
    }
}
