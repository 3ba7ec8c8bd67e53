//! How a run chooses its next token.
//!
//! In order: bias, penalties, the grammar's mask; then the likeliest tokens; then llama.cpp's own
//! samplers cut those further and choose.

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
    candidates::{self, Candidate},
    grammar::{Constraint, Next},
    vocabulary::Vocabulary,
};

// llama.cpp's own defaults, which its users' models are tuned by; the domain has the two that are told.
const TOP_K: u32 = 40;
const MIN_P: f32 = 0.05;
/// How many of the last tokens the penalties look at.
const PENALTY_WINDOW: usize = 64;

/// One sequence's sampler.
pub(super) struct Sampler {
    bias: Vec<(usize, f32)>,
    penalties: Option<Penalties>,
    grammar: Option<Constraint>,
    /// Logits to choose from once the grammar's mask is there.
    held: Option<Vec<f32>>,
    /// How many of the likeliest tokens are looked at.
    keep: usize,
    /// Cuts them further and chooses one; without it the likeliest is taken.
    choice: Option<LlamaSampler>,
    /// Log-probabilities are wanted, with this many alternatives.
    top_logprobs: Option<usize>,
    // Kept between tokens, so that none is allocated for each.
    row: Vec<f32>,
    found: Vec<Candidate>,
}

/// A chosen token.
pub(super) struct Sampled {
    pub(super) token: LlamaToken,
    /// How likely it was, if that was asked for.
    pub(super) logprob: Option<TokenLogprob>,
}

/// What became of a row of logits.
pub(super) enum Choice {
    /// A token.
    Token(Sampled),
    /// Nothing may come: the answer is complete.
    Complete,
    /// The mask isn't there yet. The row is held until it is.
    Held,
}

impl Sampler {
    /// A sampler for `sampling`. With a seed, each `variant`, which is another answer or attempt, gets one of its own.
    pub(super) fn new(
        sampling: &Sampling,
        variant: u32,
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
        let keep = match sampling.top_k.unwrap_or(TOP_K) {
            _ if greedy => 1,
            0 => vocabulary.len(),
            top_k => top_k as usize,
        };
        let seed = sampling.seed.map_or_else(rand::random, |seed| seed.wrapping_add(variant));
        let choose = || {
            let parts = [
                LlamaSampler::top_p(sampling.top_p.unwrap_or(DEFAULT_TOP_P), 1),
                LlamaSampler::min_p(sampling.min_p.unwrap_or(MIN_P), 1),
                LlamaSampler::temp(temperature),
                LlamaSampler::dist(seed),
            ];
            LlamaSampler::chain(parts, true)
        };
        Self {
            bias,
            penalties: Penalties::new(sampling),
            grammar,
            held: None,
            keep,
            choice: (!greedy).then(choose),
            top_logprobs: top_logprobs.map(|n| n as usize),
            row: Vec::new(),
            found: Vec::new(),
        }
    }

    /// Chooses the next token from its logits.
    ///
    /// # Errors
    /// If the grammar gives up, such as at a limit of its size.
    pub(super) fn sample(&mut self, logits: &[f32], vocabulary: &Vocabulary) -> Result<Choice, String> {
        match self.grammar.as_mut().map(Constraint::poll) {
            Some(Next::Pending) => {
                self.held = Some(logits.to_vec());
                return Ok(Choice::Held);
            }
            Some(Next::Complete) => return Ok(Choice::Complete),
            Some(Next::Failed(why)) => return Err(why.clone()),
            Some(Next::Mask(_)) | None => {}
        }
        let changed = !self.bias.is_empty() || self.penalties.is_some() || self.grammar.is_some();
        if changed {
            self.change(logits);
        }
        let row = if changed { &self.row } else { logits };
        candidates::likeliest(row, self.keep, &mut self.found);
        let Some(token) = self.choose() else { return Ok(Choice::Complete) };
        if let Some(grammar) = &mut self.grammar {
            grammar.take(token.0.cast_unsigned());
        }
        if let Some(penalties) = &mut self.penalties {
            penalties.saw(token);
        }
        let logprob = self.top_logprobs.map(|top| logprob(logits, token, top, vocabulary));
        Ok(Choice::Token(Sampled { token, logprob }))
    }

    /// Chooses from the row that is held, once the mask for it is there.
    ///
    /// # Errors
    /// As [`sample`](Self::sample).
    pub(super) fn resume(&mut self, vocabulary: &Vocabulary) -> Result<Choice, String> {
        if matches!(self.next(), Some(Next::Pending)) {
            return Ok(Choice::Held);
        }
        match self.held.take() {
            Some(logits) => self.sample(&logits, vocabulary),
            None => Ok(Choice::Held),
        }
    }

    /// Whether a row is held.
    pub(super) fn holds_row(&self) -> bool {
        self.held.is_some()
    }

    /// Whether a grammar has the word on what comes next.
    pub(super) fn is_constrained(&self) -> bool {
        self.grammar.is_some()
    }

    /// What the grammar says of the next token, as far as it is known.
    pub(super) fn next(&mut self) -> Option<&Next> {
        self.grammar.as_mut().map(Constraint::poll)
    }

    /// Puts bias, penalties and mask to the row.
    fn change(&mut self, logits: &[f32]) {
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
        if let Some(Next::Mask(mask)) = self.grammar.as_mut().map(Constraint::poll) {
            for (logits, allowed) in self.row.chunks_mut(32).zip(mask.as_slice()) {
                forbid(logits, *allowed);
            }
        }
    }

    fn choose(&mut self) -> Option<LlamaToken> {
        let token = |index: u32| LlamaToken(index.cast_signed());
        let Some(choice) = &mut self.choice else { return self.found.first().map(|(t, _)| token(*t)) };
        if self.found.is_empty() {
            return None;
        }
        let data = self.found.iter().map(|(t, logit)| LlamaTokenData::new(token(*t), *logit, 0.0));
        let mut array = LlamaTokenDataArray::new(data.collect(), true);
        choice.apply(&mut array);
        array.selected_token()
    }
}

/// Makes tokens impossible whose bit isn't set.
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

/// Log-probabilities are the model's: before bias, penalties and mask.
fn logprob(logits: &[f32], token: LlamaToken, top: usize, vocabulary: &Vocabulary) -> TokenLogprob {
    let sum = candidates::log_sum_exp(logits);
    let entry = |token: LlamaToken| {
        let logit = usize::try_from(token.0).ok().and_then(|index| logits.get(index));
        // JSON has no infinity: what can't come is as unlikely as a number can say.
        let logprob = logit.map_or(f32::MIN, |logit| (logit - sum).clamp(f32::MIN, 0.0));
        Logprob { bytes: vocabulary.name(token).to_vec(), logprob }
    };
    let mut likeliest = Vec::new();
    candidates::likeliest(logits, top, &mut likeliest);
    let top = likeliest.into_iter().map(|(token, _)| entry(LlamaToken(token.cast_signed())));
    TokenLogprob { token: entry(token), top: top.collect() }
}

/// Makes tokens less likely that came lately. The three are llama.cpp's: `repeat` divides a positive
/// logit and multiplies a negative one, `frequency` is subtracted for each time, `presence` once.
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
        let any = (repeat, frequency, presence) != (1.0, 0.0, 0.0);
        any.then(|| Self { repeat, frequency, presence, last: VecDeque::new(), counts: HashMap::new() })
    }

    fn saw(&mut self, token: LlamaToken) {
        self.last.push_back(token);
        *self.counts.entry(token).or_default() += 1;
        if self.last.len() > PENALTY_WINDOW
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
    fn a_mask_leaves_only_what_it_allows() {
        let mut logits = [1.0; 5];
        forbid(&mut logits, 0b01010);
        assert_eq!(logits.map(f32::is_finite), [false, true, false, true, false]);
        forbid(&mut logits, u32::MAX);
        assert_eq!(logits.map(f32::is_finite), [false, true, false, true, false]);
        forbid(&mut logits, 0);
        assert_eq!(logits.map(f32::is_finite), [false; 5]);
    }

    #[test]
    fn penalties_grow_with_each_time_and_fade() {
        let sampling = Sampling {
            repeat_penalty: Some(2.0),
            frequency_penalty: Some(0.5),
            presence_penalty: Some(1.0),
            ..Sampling::default()
        };
        let mut penalties = Penalties::new(&sampling).unwrap();
        penalties.saw(LlamaToken(0));
        penalties.saw(LlamaToken(1));
        penalties.saw(LlamaToken(1));
        let mut logits = [4.0, -4.0, 4.0];
        penalties.apply(&mut logits);
        assert_eq!(logits, [4.0 / 2.0 - 1.5, -4.0 * 2.0 - 2.0, 4.0]);
        for _ in 0..PENALTY_WINDOW {
            penalties.saw(LlamaToken(2));
        }
        let mut logits = [4.0, -4.0, 4.0];
        penalties.apply(&mut logits);
        assert_eq!(logits[..2], [4.0, -4.0]);
        assert!(Penalties::new(&Sampling::default()).is_none());
    }
}
