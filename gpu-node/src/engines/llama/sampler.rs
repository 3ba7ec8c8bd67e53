//! Samples the next token of an answer.
//!
//! In order: bias, penalties, the grammar's mask; then the `top_k` most probable tokens; then llama.cpp's own samplers
//! reduce those further and choose one.

use std::collections::{HashMap, VecDeque};

use hearth_domain::{
    Logprob, Sampling, TokenLogprob,
    sampling::{DEFAULT_TEMPERATURE, DEFAULT_TOP_P},
};
use llama_cpp_2::{
    sampling::LlamaSampler,
    token::{LlamaToken, data::LlamaTokenData, data_array::LlamaTokenDataArray},
};

use super::{
    grammar::{Constraint, MaskState},
    token_candidates::{self, TokenCandidate},
    vocabulary::Vocabulary,
};

// llama.cpp's own defaults. The documented ones, for temperature and top_p, are in the domain crate.
const DEFAULT_TOP_K: u32 = 40;
const DEFAULT_MIN_P: f32 = 0.05;
/// Number of last tokens that the penalties consider.
const PENALTY_WINDOW_TOKENS: usize = 64;

/// Sampler of one answer.
pub(super) struct Sampler {
    bias: Vec<(usize, f32)>,
    penalties: Option<Penalties>,
    grammar: Option<Constraint>,
    /// Logits to sample from once the grammar's mask is ready.
    held_row: Option<Vec<f32>>,
    top_k: usize,
    /// Reduces the candidates further and chooses one; `None` for greedy sampling.
    chain: Option<LlamaSampler>,
    /// Number of alternatives of each log-probability, if those are wanted.
    top_logprobs: Option<usize>,
    // Buffers, reused for each token.
    row: Vec<f32>,
    candidates: Vec<TokenCandidate>,
}

/// A sampled token.
pub(super) struct Sampled {
    pub(super) token: LlamaToken,
    /// Its log-probability, if that was requested.
    pub(super) logprob: Option<TokenLogprob>,
}

/// The result of sampling from a row of logits.
pub(super) enum SampleOutcome {
    Token(Sampled),
    /// The grammar allows no further token: the answer is complete.
    Complete,
    /// The grammar's mask isn't ready. The row is held until it is.
    MaskPending,
}

impl Sampler {
    /// Creates the sampler of one answer. `seed_offset` makes the seeds of a run's answers and attempts different.
    pub(super) fn new(
        sampling: &Sampling,
        seed_offset: u32,
        top_logprobs: Option<u32>,
        grammar: Option<Constraint>,
        vocabulary: &Vocabulary,
    ) -> Self {
        let mut bias: Vec<_> = sampling.logit_bias.iter().map(|(t, b)| (*t as usize, *b)).collect();
        if sampling.ignore_eos {
            let index = |token: LlamaToken| usize::try_from(token.0).ok();
            bias.extend(vocabulary.end_of_turn().filter_map(index).map(|token| (token, f32::NEG_INFINITY)));
        }
        let temperature = sampling.temperature.unwrap_or(DEFAULT_TEMPERATURE);
        let greedy = temperature <= 0.0;
        let top_k = match sampling.top_k.unwrap_or(DEFAULT_TOP_K) {
            _ if greedy => 1,
            0 => vocabulary.len(),
            top_k => top_k as usize,
        };
        let seed = sampling.seed.map_or_else(rand::random, |seed| seed.wrapping_add(seed_offset));
        let chain = || {
            let parts = [
                LlamaSampler::top_p(sampling.top_p.unwrap_or(DEFAULT_TOP_P), 1),
                LlamaSampler::min_p(sampling.min_p.unwrap_or(DEFAULT_MIN_P), 1),
                LlamaSampler::temp(temperature),
                LlamaSampler::dist(seed),
            ];
            LlamaSampler::chain(parts, true)
        };
        Self {
            bias,
            penalties: Penalties::new(sampling),
            grammar,
            held_row: None,
            top_k,
            chain: (!greedy).then(chain),
            top_logprobs: top_logprobs.map(|n| n as usize),
            row: Vec::new(),
            candidates: Vec::new(),
        }
    }

    /// Samples the next token from its logits.
    ///
    /// # Errors
    /// If the grammar fails, for example at a limit of its size.
    pub(super) fn sample(
        &mut self,
        logits: &[f32],
        vocabulary: &Vocabulary,
    ) -> Result<SampleOutcome, String> {
        match self.grammar.as_mut().map(Constraint::poll) {
            Some(MaskState::Pending) => {
                self.held_row = Some(logits.to_vec());
                return Ok(SampleOutcome::MaskPending);
            }
            Some(MaskState::Complete) => return Ok(SampleOutcome::Complete),
            Some(MaskState::Failed(reason)) => return Err(reason.clone()),
            Some(MaskState::Mask(_)) | None => {}
        }
        let adjusted = !self.bias.is_empty() || self.penalties.is_some() || self.grammar.is_some();
        if adjusted {
            self.adjust(logits);
        }
        let row = if adjusted { &self.row } else { logits };
        token_candidates::top_k(row, self.top_k, &mut self.candidates);
        let Some(token) = self.choose() else { return Ok(SampleOutcome::Complete) };
        if let Some(grammar) = &mut self.grammar {
            grammar.accept(token.0.cast_unsigned());
        }
        if let Some(penalties) = &mut self.penalties {
            penalties.add(token);
        }
        let logprob = self.top_logprobs.map(|top| logprob(logits, token, top, vocabulary));
        Ok(SampleOutcome::Token(Sampled { token, logprob }))
    }

    /// Samples from the held row, if its mask is ready.
    ///
    /// # Errors
    /// As [`sample`](Self::sample).
    pub(super) fn resume(&mut self, vocabulary: &Vocabulary) -> Result<SampleOutcome, String> {
        if matches!(self.poll_grammar(), Some(MaskState::Pending)) {
            return Ok(SampleOutcome::MaskPending);
        }
        match self.held_row.take() {
            Some(logits) => self.sample(&logits, vocabulary),
            None => Ok(SampleOutcome::MaskPending),
        }
    }

    /// Returns whether a row waits for its mask.
    pub(super) fn holds_row(&self) -> bool {
        self.held_row.is_some()
    }

    /// Returns whether the answer has a grammar.
    pub(super) fn is_constrained(&self) -> bool {
        self.grammar.is_some()
    }

    /// The state of the grammar's mask for the next token.
    pub(super) fn poll_grammar(&mut self) -> Option<&MaskState> {
        self.grammar.as_mut().map(Constraint::poll)
    }

    /// Applies bias, penalties and mask to a copy of the row.
    fn adjust(&mut self, logits: &[f32]) {
        self.row.clear();
        self.row.extend_from_slice(logits);
        for (token, bias) in &self.bias {
            if let Some(logit) = self.row.get_mut(*token) {
                *logit += bias;
            }
        }
        if let Some(penalties) = &self.penalties {
            penalties.apply(&mut self.row);
        }
        if let Some(MaskState::Mask(mask)) = self.grammar.as_mut().map(Constraint::poll) {
            for (logits, allowed) in self.row.chunks_mut(32).zip(mask.as_slice()) {
                forbid(logits, *allowed);
            }
        }
    }

    fn choose(&mut self) -> Option<LlamaToken> {
        let token = |index: u32| LlamaToken(index.cast_signed());
        let Some(chain) = &mut self.chain else { return self.candidates.first().map(|(t, _)| token(*t)) };
        if self.candidates.is_empty() {
            return None;
        }
        let data = self.candidates.iter().map(|(t, logit)| LlamaTokenData::new(token(*t), *logit, 0.0));
        let mut array = LlamaTokenDataArray::new(data.collect(), true);
        chain.apply(&mut array);
        array.selected_token()
    }
}

/// Sets the logits of tokens whose bit isn't set to minus infinity.
fn forbid(logits: &mut [f32], allowed: u32) {
    match allowed {
        u32::MAX => {}
        0 => logits.fill(f32::NEG_INFINITY),
        _ => {
            for (bit, logit) in logits.iter_mut().enumerate() {
                if allowed >> bit & 1 == 0 {
                    *logit = f32::NEG_INFINITY;
                }
            }
        }
    }
}

/// A token's log-probability by the model: before bias, penalties and mask.
fn logprob(logits: &[f32], token: LlamaToken, top: usize, vocabulary: &Vocabulary) -> TokenLogprob {
    let sum = token_candidates::log_sum_exp(logits);
    let entry = |token: LlamaToken| {
        let logit = usize::try_from(token.0).ok().and_then(|index| logits.get(index));
        // JSON has no infinity.
        let logprob = logit.map_or(f32::MIN, |logit| (logit - sum).clamp(f32::MIN, 0.0));
        Logprob { bytes: vocabulary.name(token).to_vec(), logprob }
    };
    let mut alternatives = Vec::new();
    token_candidates::top_k(logits, top, &mut alternatives);
    let top = alternatives.into_iter().map(|(token, _)| entry(LlamaToken(token.cast_signed())));
    TokenLogprob { token: entry(token), top: top.collect() }
}

/// Penalties on recently generated tokens, as llama.cpp applies them: `repeat` divides a positive logit and
/// multiplies a negative one, `frequency` is subtracted for each occurrence, `presence` once.
struct Penalties {
    repeat: f32,
    frequency: f32,
    presence: f32,
    last: VecDeque<LlamaToken>,
    counts: HashMap<LlamaToken, u16>,
}

impl Penalties {
    fn new(sampling: &Sampling) -> Option<Self> {
        let repeat = sampling.repeat_penalty.unwrap_or(1.0);
        let frequency = sampling.frequency_penalty.unwrap_or(0.0);
        let presence = sampling.presence_penalty.unwrap_or(0.0);
        let has_any = (repeat, frequency, presence) != (1.0, 0.0, 0.0);
        has_any.then(|| Self { repeat, frequency, presence, last: VecDeque::new(), counts: HashMap::new() })
    }

    fn add(&mut self, token: LlamaToken) {
        self.last.push_back(token);
        *self.counts.entry(token).or_default() += 1;
        if self.last.len() > PENALTY_WINDOW_TOKENS
            && let Some(oldest) = self.last.pop_front()
            && let Some(count) = self.counts.get_mut(&oldest)
        {
            *count -= 1;
        }
    }

    fn apply(&self, logits: &mut [f32]) {
        for (token, count) in self.counts.iter().filter(|(_, count)| **count > 0) {
            let Some(logit) = usize::try_from(token.0).ok().and_then(|index| logits.get_mut(index)) else {
                continue;
            };
            *logit = if *logit > 0.0 { *logit / self.repeat } else { *logit * self.repeat };
            *logit -= f32::from(*count) * self.frequency + self.presence;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mask_forbids_all_other_tokens() {
        let mut logits = [1.0; 5];
        forbid(&mut logits, 0b01010);
        assert_eq!(logits.map(f32::is_finite), [false, true, false, true, false]);
        forbid(&mut logits, u32::MAX);
        assert_eq!(logits.map(f32::is_finite), [false, true, false, true, false]);
        forbid(&mut logits, 0);
        assert_eq!(logits.map(f32::is_finite), [false; 5]);
    }

    #[test]
    fn penalties_grow_with_each_occurrence_and_end_with_the_window() {
        let sampling = Sampling {
            repeat_penalty: Some(2.0),
            frequency_penalty: Some(0.5),
            presence_penalty: Some(1.0),
            ..Sampling::default()
        };
        let mut penalties = Penalties::new(&sampling).unwrap();
        penalties.add(LlamaToken(0));
        penalties.add(LlamaToken(1));
        penalties.add(LlamaToken(1));
        let mut logits = [4.0, -4.0, 4.0];
        penalties.apply(&mut logits);
        assert_eq!(logits, [4.0 / 2.0 - 1.5, -4.0 * 2.0 - 2.0, 4.0]);
        for _ in 0..PENALTY_WINDOW_TOKENS {
            penalties.add(LlamaToken(2));
        }
        let mut logits = [4.0, -4.0, 4.0];
        penalties.apply(&mut logits);
        assert_eq!(logits[..2], [4.0, -4.0]);
        assert!(Penalties::new(&Sampling::default()).is_none());
    }
}
