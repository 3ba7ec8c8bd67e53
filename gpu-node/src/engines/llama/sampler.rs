//! A run's sampler, out of llama.cpp's parts.

use hearth_domain::Sampling;
use llama_cpp_2::{
    model::LlamaModel,
    sampling::LlamaSampler,
    token::{LlamaToken, logit_bias::LlamaLogitBias},
};

// llama.cpp's own defaults, which its users' models are tuned by.
const TEMPERATURE: f32 = 0.8;
const TOP_K: u32 = 40;
const TOP_P: f32 = 0.95;
const MIN_P: f32 = 0.05;
/// How many of the last tokens the penalties look at.
const PENALTY_WINDOW: i32 = 64;

/// The chain for `sampling`: bias, penalties, then the cuts, then the choice.
pub(super) fn chain(sampling: &Sampling, model: &LlamaModel, end_of_turn: &[LlamaToken]) -> LlamaSampler {
    let mut parts = Vec::new();
    if sampling.ignore_eos {
        let never: Vec<_> = end_of_turn.iter().map(|t| LlamaLogitBias::new(*t, f32::NEG_INFINITY)).collect();
        parts.push(LlamaSampler::logit_bias(model.n_vocab(), &never));
    }
    let (repeat, frequency, presence) = (
        sampling.repeat_penalty.unwrap_or(1.0),
        sampling.frequency_penalty.unwrap_or(0.0),
        sampling.presence_penalty.unwrap_or(0.0),
    );
    if (repeat, frequency, presence) != (1.0, 0.0, 0.0) {
        parts.push(LlamaSampler::penalties(model.n_vocab(), PENALTY_WINDOW, repeat, frequency, presence));
    }
    let temperature = sampling.temperature.unwrap_or(TEMPERATURE);
    if temperature <= 0.0 {
        parts.push(LlamaSampler::greedy());
        return LlamaSampler::chain(parts, true);
    }
    let top_k = sampling.top_k.unwrap_or(TOP_K);
    if top_k > 0 {
        parts.push(LlamaSampler::top_k(i32::try_from(top_k).unwrap_or(i32::MAX)));
    }
    parts.push(LlamaSampler::top_p(sampling.top_p.unwrap_or(TOP_P), 1));
    parts.push(LlamaSampler::min_p(sampling.min_p.unwrap_or(MIN_P), 1));
    parts.push(LlamaSampler::temp(temperature));
    parts.push(LlamaSampler::dist(sampling.seed.unwrap_or_else(random_seed)));
    LlamaSampler::chain(parts, true)
}

/// A seed from the hasher's keys, which the system fills at random for each process.
fn random_seed() -> u32 {
    use std::hash::{BuildHasher as _, Hasher as _};
    let now = std::time::SystemTime::now();
    let mut hasher = std::hash::RandomState::new().build_hasher();
    hasher.write_u128(now.duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_nanos()));
    hasher.finish() as u32
}
