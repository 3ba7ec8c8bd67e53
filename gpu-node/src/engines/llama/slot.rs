//! A slot: one answer that is being computed, in its sequence of the context.

use std::{collections::HashSet, sync::Arc, time::Instant};

use hearth_domain::{FinishReason, RunId};
use hearth_wire::RunEventBody;
use llama_cpp_2::token::LlamaToken;

use super::{
    answer::{Answer, ToolReader},
    prefixes::{Lease, Token},
    prompt::Admission,
    sampler::{Sampled, Sampler},
    tools::ToolCallParser,
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
        lease: &Lease,
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
            sequence: lease.sequence,
            sampler,
            prompt: Arc::clone(&admission.prompt),
            fed: lease.reused,
            reused: lease.reused,
            next: None,
            generated: 0,
            max_tokens: sampling.max_tokens.unwrap_or(room).min(room),
            ignore_eos: sampling.ignore_eos,
            answer: Answer::new(choice, sampling.stop.clone(), tools),
            began: Instant::now(),
            prefilled: None,
        }
    }

    /// Whether its prompt isn't whole in the context yet.
    pub(super) fn prefills(&self) -> bool {
        self.fed < self.prompt.len()
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
        self.reused += fed - self.fed;
        self.fed = fed;
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

/// The special tokens that a model's tool calls are written with.
pub(super) type Markers = HashSet<LlamaToken>;
