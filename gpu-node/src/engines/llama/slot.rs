//! A slot: one answer that is being computed, in its sequence of the context.

use std::{collections::HashSet, sync::Arc, time::Instant};

use hearth_domain::{FinishReason, RunId};
use hearth_wire::RunEventBody;
use llama_cpp_2::token::LlamaToken;

use super::{
    answer::{Answer, ToolReader},
    cache::Leased,
    prefixes::{Token, WORTH_KEEPING, common_prefix},
    prompt::Admission,
    sampler::{Sampled, Sampler},
    tools::ToolCallParser,
    turns::{Want, What},
    vocabulary::Vocabulary,
};

/// An answer with a sequence. It prefills until its whole prompt is fed, and decodes from then on.
pub(super) struct Slot {
    pub(super) run: RunId,
    pub(super) choice: u32,
    pub(super) sequence: usize,
    pub(super) sampler: Sampler,
    pub(super) prompt: Arc<[Token]>,
    /// Tokens of the sequence that are in the context.
    fed: usize,
    /// Tokens of the prompt that were there before.
    pub(super) reused: usize,
    /// An older slot that computes the same beginning: this one waits for it.
    pub(super) leader: Option<Leader>,
    /// The token to feed next, once the prompt is fed.
    next: Option<Token>,
    pub(super) generated: u32,
    max_tokens: u32,
    ignore_eos: bool,
    answer: Answer,
    /// When it got its sequence, and when its prompt was fed.
    pub(super) began: Instant,
    pub(super) prefilled: Option<Instant>,
}

impl Slot {
    pub(super) fn new(
        admission: &Admission,
        choice: u32,
        leased: &Leased,
        vocabulary: &Vocabulary,
        context_length: u32,
    ) -> Self {
        let sampling = &admission.sampling;
        let grammar = admission.grammar.as_ref().map(llguidance::Matcher::deep_clone);
        let sampler = Sampler::new(sampling, choice, admission.top_logprobs, grammar, vocabulary);
        let tools = admission.tools.as_ref().map(|tools| ToolReader {
            parser: ToolCallParser::new(tools.format, &tools.offered),
            markers: tools.markers.clone(),
            called: false,
            only_one: tools.only_one,
        });
        let room = context_length.saturating_sub(admission.prompt_tokens()).max(1);
        Self {
            run: admission.run,
            choice,
            sequence: leased.sequence,
            sampler,
            prompt: Arc::clone(&admission.prompt),
            fed: leased.reused,
            reused: leased.reused,
            leader: None,
            next: None,
            generated: 0,
            max_tokens: sampling.max_tokens.unwrap_or(room).min(room),
            ignore_eos: sampling.ignore_eos,
            answer: Answer::new(choice, sampling.stop.clone(), tools, admission.thoughts()),
            began: Instant::now(),
            prefilled: None,
        }
    }

    /// Whether its prompt isn't whole in the context yet.
    pub(super) fn prefills(&self) -> bool {
        self.fed < self.prompt.len()
    }

    /// Whether its prompt is whole in the context once `tokens` more of it are fed.
    pub(super) fn is_whole_after(&self, tokens: usize) -> bool {
        self.fed + tokens >= self.prompt.len()
    }

    /// What it could use of the next step.
    pub(super) fn wants(&self) -> Want {
        let what = match self.prompt.len().saturating_sub(self.fed) {
            0 => What::Token,
            _ if self.leader.is_some() => What::Nothing,
            left => What::Prompt(left),
        };
        Want { sequence: self.sequence, what }
    }

    /// The tokens to feed next, at most `most` of a prompt, with the first one's position.
    pub(super) fn feed(&self, most: usize) -> (&[Token], i32) {
        // A context is far below 2^31 tokens.
        let position = i32::try_from(self.fed).unwrap_or(i32::MAX);
        if self.prefills() {
            let rest = &self.prompt[self.fed..];
            (&rest[..rest.len().min(most)], position)
        } else {
            (self.next.as_slice(), position)
        }
    }

    /// Notes that `count` more tokens are in the context.
    pub(super) fn fed(&mut self, count: usize) {
        self.fed += count;
        if !self.prefills() && self.prefilled.is_none() {
            self.prefilled = Some(Instant::now());
        }
    }

    /// Notes that the context has this much of the prompt, taken from another sequence.
    pub(super) fn caught_up(&mut self, fed: usize) {
        self.reused = fed;
        self.fed = fed;
    }

    /// How many of the tokens generated were thoughts.
    pub(super) fn thought(&self) -> u32 {
        self.answer.thought
    }

    /// Takes the token sampled after its last one; why the answer ends here, if it does.
    pub(super) fn take(
        &mut self,
        sampled: Sampled,
        vocabulary: &Vocabulary,
        events: &mut Vec<RunEventBody>,
    ) -> Option<FinishReason> {
        let Sampled { token, complete, .. } = sampled;
        if vocabulary.ends_turn(token) && !self.ignore_eos {
            return Some(self.finish(FinishReason::Stop, events));
        }
        self.generated += 1;
        self.next = Some(token.0);
        if self.answer.push(sampled, vocabulary, events) {
            return Some(self.reason(FinishReason::Stop));
        }
        if complete {
            return Some(self.finish(FinishReason::Stop, events));
        }
        (self.generated >= self.max_tokens).then(|| self.finish(FinishReason::Length, events))
    }

    /// Ends the answer: what was held back goes out.
    pub(super) fn finish(&mut self, reason: FinishReason, events: &mut Vec<RunEventBody>) -> FinishReason {
        self.answer.finish(events);
        self.reason(reason)
    }

    fn reason(&self, reason: FinishReason) -> FinishReason {
        match reason {
            FinishReason::Stop if self.answer.calls_tools() => FinishReason::ToolCalls,
            other => other,
        }
    }
}

/// A slot that computes the beginning of another's prompt.
#[derive(Clone, Copy)]
pub(super) struct Leader {
    run: RunId,
    choice: u32,
    /// How many tokens the prompts have in common.
    tokens: usize,
}

impl Leader {
    /// Of the slots that still compute their prompt, the one that has most in common with this one's,
    /// if that is more than it has itself.
    pub(super) fn of(slot: &Slot, others: &[Slot]) -> Option<Self> {
        let leaders = others.iter().filter(|other| other.prefills()).map(|other| Self {
            run: other.run,
            choice: other.choice,
            tokens: common_prefix(&other.prompt, &slot.prompt),
        });
        let most = leaders.rev().max_by_key(|leader| leader.tokens)?;
        (most.tokens >= slot.fed + WORTH_KEEPING).then_some(most)
    }

    /// Whether `slot` is the leader, and has yet to compute what they have in common.
    pub(super) fn is_busy(&self, slot: &Slot) -> bool {
        (slot.run, slot.choice) == (self.run, self.choice) && slot.fed < self.tokens
    }
}

/// The special tokens that a model's tool calls are written with.
pub(super) type Markers = HashSet<LlamaToken>;
