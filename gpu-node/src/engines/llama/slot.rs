//! A slot: one answer that is being generated, with its sequence of the context.

use std::{
    sync::{Arc, mpsc},
    time::Instant,
};

use hearth_domain::{FinishReason, RunId};
use hearth_wire::RunEventBody;

use super::{
    answer_attempt::{AnswerAttempt, FinishedAnswer},
    answer_decoder::{AnswerDecoder, ToolReader},
    grammar::{Constraint, MaskState},
    kv_cache::LeasedSequence,
    prefix_index::KEEP_MIN_TOKENS,
    sampler::{SampleOutcome, Sampled, Sampler},
    step_planner::{SlotDemand, SlotWork},
    tools::ToolCallParser,
    vocabulary::{Token, Vocabulary, common_prefix},
    work::Work,
};

/// The end of an answer: its finish reason, or why its grammar failed.
pub(super) type AnswerEnd = Result<FinishReason, String>;

/// An answer with a sequence. It prefills until its whole prompt is computed, and decodes from then on.
pub(super) struct Slot {
    pub(super) run: RunId,
    pub(super) choice: u32,
    pub(super) sequence: usize,
    pub(super) sampler: Sampler,
    pub(super) prompt: Arc<[Token]>,
    /// Tokens of the sequence that are in the context: of the prompt, then of the answer.
    computed_tokens: usize,
    /// Tokens of the prompt that came from the prefix cache.
    pub(super) cached_tokens: usize,
    /// An older slot that computes the same beginning; this slot waits for it and copies it.
    pub(super) shared_prefix: Option<SharedPrefix>,
    /// The token to compute next, once the prompt is computed.
    next_token: Option<Token>,
    pub(super) generated_tokens: u32,
    max_tokens: u32,
    /// The answer has all the tokens that it may have, and its grammar has yet to say whether it is complete.
    at_token_limit: bool,
    ignore_eos: bool,
    decoder: AnswerDecoder,
    attempt: AnswerAttempt,
    /// The answer's text, if a JSON Schema will be checked.
    text: String,
    /// Events that are held back until the check.
    buffered_events: Vec<RunEventBody>,
    pub(super) started_at: Instant,
    pub(super) prefilled_at: Option<Instant>,
}

impl Slot {
    pub(super) fn new(
        attempt: AnswerAttempt,
        leased: &LeasedSequence,
        vocabulary: &Vocabulary,
        context_length: u32,
        inbox: &mpsc::Sender<Work>,
    ) -> Self {
        let (prepared, choice) = (&attempt.prepared, attempt.choice);
        let sampling = &prepared.sampling;
        let grammar = prepared.grammar.as_ref().map(|grammar| {
            let inbox = inbox.clone();
            Constraint::start(grammar, move || drop(inbox.send(Work::Wake)))
        });
        let (seed_offset, top_logprobs) = (attempt.seed_offset(), prepared.top_logprobs);
        let sampler = Sampler::new(sampling, seed_offset, top_logprobs, grammar, vocabulary);
        let tools = prepared.tools.as_ref().map(|tools| ToolReader {
            parser: ToolCallParser::new(tools.format, &tools.offered),
            markers: tools.markers.clone(),
            has_called: false,
            only_one: tools.only_one,
        });
        let decoder = AnswerDecoder::new(choice, sampling.stop.clone(), tools, prepared.reasoning_parser());
        Self {
            run: prepared.run,
            choice,
            sequence: leased.sequence,
            sampler,
            prompt: Arc::clone(&prepared.prompt),
            computed_tokens: leased.cached_tokens,
            cached_tokens: leased.cached_tokens,
            shared_prefix: None,
            next_token: None,
            generated_tokens: 0,
            max_tokens: attempt.max_tokens(context_length),
            at_token_limit: false,
            ignore_eos: sampling.ignore_eos,
            decoder,
            text: String::new(),
            buffered_events: Vec::new(),
            started_at: Instant::now(),
            prefilled_at: None,
            attempt,
        }
    }

    /// Returns whether a part of the prompt is not in the context yet.
    pub(super) fn is_prefilling(&self) -> bool {
        self.computed_tokens < self.prompt.len()
    }

    /// Returns whether the whole prompt is in the context after `tokens` more tokens.
    pub(super) fn completes_prompt_with(&self, tokens: usize) -> bool {
        self.computed_tokens + tokens >= self.prompt.len()
    }

    /// The slot's work for the next step.
    pub(super) fn demand(&self) -> SlotDemand {
        let work = match self.prompt.len().saturating_sub(self.computed_tokens) {
            // No token has been chosen from the last row yet.
            0 if self.at_token_limit || self.sampler.holds_row() => SlotWork::Idle,
            0 => SlotWork::Decode,
            _ if self.shared_prefix.is_some() => SlotWork::Idle,
            left => SlotWork::Prefill(left),
        };
        SlotDemand { sequence: self.sequence, work }
    }

    /// The tokens to compute next, at most `max` of a prompt, and the position of the first one.
    pub(super) fn next_tokens(&self, max: usize) -> (&[Token], i32) {
        // A context is far below 2^31 tokens.
        let position = i32::try_from(self.computed_tokens).unwrap_or(i32::MAX);
        if self.is_prefilling() {
            let rest = &self.prompt[self.computed_tokens..];
            (&rest[..rest.len().min(max)], position)
        } else {
            (self.next_token.as_slice(), position)
        }
    }

    /// Records that `count` more tokens are in the context.
    pub(super) fn add_computed(&mut self, count: usize) {
        self.computed_tokens += count;
        if !self.is_prefilling() && self.prefilled_at.is_none() {
            self.prefilled_at = Some(Instant::now());
        }
    }

    /// Records that the first `tokens` of the prompt were copied from another sequence.
    pub(super) fn set_copied(&mut self, tokens: usize) {
        self.cached_tokens = tokens;
        self.computed_tokens = tokens;
    }

    /// Number of generated tokens that were reasoning.
    pub(super) fn reasoning_tokens(&self) -> u32 {
        self.decoder.reasoning_tokens
    }

    /// Accepts what was sampled from the last row of logits. Returns the answer's end, if it ends here.
    pub(super) fn accept_sample(
        &mut self,
        outcome: Result<SampleOutcome, String>,
        vocabulary: &Vocabulary,
        events: &mut Vec<RunEventBody>,
    ) -> Option<AnswerEnd> {
        match outcome {
            Ok(SampleOutcome::Token(sampled)) => self.accept_token(sampled, vocabulary, events).map(Ok),
            Ok(SampleOutcome::Complete) => Some(Ok(self.finish(FinishReason::Stop, events))),
            Ok(SampleOutcome::MaskPending) => None,
            Err(reason) => {
                self.finish(FinishReason::Stop, events);
                Some(Err(reason))
            }
        }
    }

    /// Continues with a mask that the grammar has computed meanwhile. Returns the answer's end, if it ends here.
    pub(super) fn poll_grammar(
        &mut self,
        vocabulary: &Vocabulary,
        events: &mut Vec<RunEventBody>,
    ) -> Option<AnswerEnd> {
        if self.sampler.holds_row() {
            let outcome = self.sampler.resume(vocabulary);
            return self.accept_sample(outcome, vocabulary, events);
        }
        match self.sampler.poll_grammar()? {
            MaskState::Complete => Some(Ok(self.finish(FinishReason::Stop, events))),
            MaskState::Mask(_) | MaskState::Failed(_) if self.at_token_limit => {
                Some(Ok(self.finish(FinishReason::Length, events)))
            }
            MaskState::Mask(_) | MaskState::Failed(_) | MaskState::Pending => None,
        }
    }

    fn accept_token(
        &mut self,
        sampled: Sampled,
        vocabulary: &Vocabulary,
        events: &mut Vec<RunEventBody>,
    ) -> Option<FinishReason> {
        let token = sampled.token;
        if vocabulary.ends_turn(token) && !self.ignore_eos {
            return Some(self.finish(FinishReason::Stop, events));
        }
        self.generated_tokens += 1;
        self.next_token = Some(token.0);
        if self.decoder.push(sampled, vocabulary, events) {
            return Some(self.finish_reason(FinishReason::Stop));
        }
        if self.generated_tokens < self.max_tokens {
            return None;
        }
        // The last token may be the one that completes the grammar's language: ask it before the answer ends.
        self.at_token_limit = self.sampler.is_constrained();
        (!self.at_token_limit).then(|| self.finish(FinishReason::Length, events))
    }

    /// Collects the text, if it will be checked. Returns the events to send now; the others are buffered.
    pub(super) fn collect(&mut self, events: Vec<RunEventBody>) -> Vec<RunEventBody> {
        if self.attempt.prepared.schema_check.is_some() {
            for event in &events {
                if let RunEventBody::Delta { text, .. } = event {
                    self.text.push_str(text);
                }
            }
        }
        if self.attempt.buffers_events() {
            self.buffered_events.extend(events);
            return Vec::new();
        }
        events
    }

    /// The finished answer, without its sequence.
    pub(super) fn into_finished(self, reason: FinishReason) -> FinishedAnswer {
        let Self { attempt, generated_tokens, max_tokens, text, buffered_events, .. } = self;
        FinishedAnswer {
            attempt,
            reason,
            generated_tokens,
            max_tokens,
            text,
            buffered_events,
            structured: None,
        }
    }

    pub(super) fn is_first_attempt(&self) -> bool {
        self.attempt.number == 1
    }

    /// The field of the request that the grammar was compiled from.
    pub(super) fn grammar_param(&self) -> &'static str {
        self.attempt.prepared.grammar_param
    }

    /// Ends the answer: text that the decoder held back goes out.
    fn finish(&mut self, reason: FinishReason, events: &mut Vec<RunEventBody>) -> FinishReason {
        self.decoder.finish(events);
        self.finish_reason(reason)
    }

    fn finish_reason(&self, reason: FinishReason) -> FinishReason {
        match reason {
            FinishReason::Stop if self.decoder.has_tool_calls() => FinishReason::ToolCalls,
            other => other,
        }
    }
}

/// The beginning that a slot's prompt shares with the prompt of a slot that computes it now.
#[derive(Clone, Copy)]
pub(super) struct SharedPrefix {
    /// The answer whose slot computes it.
    run: RunId,
    choice: u32,
    /// Number of tokens that both prompts begin with.
    tokens: usize,
}

impl SharedPrefix {
    /// Finds the prefilling slot whose prompt has the longest beginning in common with `slot`'s. `None` if it is hardly
    /// longer than what `slot` has computed itself.
    pub(super) fn find(slot: &Slot, others: &[Slot]) -> Option<Self> {
        let candidates = others.iter().filter(|other| other.is_prefilling()).map(|other| Self {
            run: other.run,
            choice: other.choice,
            tokens: common_prefix(&other.prompt, &slot.prompt),
        });
        let longest = candidates.rev().max_by_key(|candidate| candidate.tokens)?;
        (longest.tokens >= slot.computed_tokens + KEEP_MIN_TOKENS).then_some(longest)
    }

    /// Returns whether `slot` is the one that computes the shared beginning, and hasn't finished it.
    pub(super) fn is_pending_in(&self, slot: &Slot) -> bool {
        (slot.run, slot.choice) == (self.run, self.choice) && slot.computed_tokens < self.tokens
    }
}
