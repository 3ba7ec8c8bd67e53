//! A slot: one answer that is being computed, in its sequence of the context.

use std::{
    collections::HashSet,
    sync::{Arc, mpsc},
    time::Instant,
};

use hearth_domain::{FinishReason, RunId};
use hearth_wire::RunEventBody;
use llama_cpp_2::token::LlamaToken;

use super::{
    answer::{Answer, ToolReader},
    attempt::{Attempt, Finished},
    cache::Leased,
    grammar::{Constraint, Next},
    prefixes::{Token, WORTH_KEEPING, common_prefix},
    sampler::{Choice, Sampled, Sampler},
    thread::Work,
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
    /// It has as many tokens as it may, and its grammar is to say whether it is complete.
    full: bool,
    ignore_eos: bool,
    answer: Answer,
    attempt: Attempt,
    /// Its text, if that is to be checked.
    text: String,
    /// Events that wait for the check.
    held: Vec<RunEventBody>,
    /// When it got its sequence, and when its prompt was fed.
    pub(super) began: Instant,
    pub(super) prefilled: Option<Instant>,
}

impl Slot {
    pub(super) fn new(
        attempt: Attempt,
        leased: &Leased,
        vocabulary: &Vocabulary,
        context_length: u32,
        inbox: &mpsc::Sender<Work>,
    ) -> Self {
        let (admission, choice) = (&attempt.admission, attempt.choice);
        let sampling = &admission.sampling;
        let grammar = admission.grammar.as_ref().map(|grammar| {
            let inbox = inbox.clone();
            Constraint::start(grammar, move || drop(inbox.send(Work::Wake)))
        });
        let (variant, top_logprobs) = (attempt.variant(), admission.top_logprobs);
        let sampler = Sampler::new(sampling, variant, top_logprobs, grammar, vocabulary);
        let tools = admission.tools.as_ref().map(|tools| ToolReader {
            parser: ToolCallParser::new(tools.format, &tools.offered),
            markers: tools.markers.clone(),
            called: false,
            only_one: tools.only_one,
        });
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
            max_tokens: attempt.max_tokens(context_length),
            full: false,
            ignore_eos: sampling.ignore_eos,
            answer: Answer::new(choice, sampling.stop.clone(), tools, admission.thoughts()),
            text: String::new(),
            held: Vec::new(),
            began: Instant::now(),
            prefilled: None,
            attempt,
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
            // The row before has yet to be chosen from.
            0 if self.full || self.sampler.holds_row() => What::Nothing,
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

    /// Takes what became of its last row of logits; why the answer ends here, if it does.
    pub(super) fn take(
        &mut self,
        choice: Result<Choice, String>,
        vocabulary: &Vocabulary,
        events: &mut Vec<RunEventBody>,
    ) -> Option<Result<FinishReason, String>> {
        match choice {
            Ok(Choice::Token(sampled)) => self.take_token(sampled, vocabulary, events).map(Ok),
            Ok(Choice::Complete) => Some(Ok(self.finish(FinishReason::Stop, events))),
            Ok(Choice::Held) => None,
            Err(why) => {
                self.finish(FinishReason::Stop, events);
                Some(Err(why))
            }
        }
    }

    /// Goes on with what its grammar has said since; why the answer ends here, if it does.
    pub(super) fn settle(
        &mut self,
        vocabulary: &Vocabulary,
        events: &mut Vec<RunEventBody>,
    ) -> Option<Result<FinishReason, String>> {
        if self.sampler.holds_row() {
            let choice = self.sampler.resume(vocabulary);
            return self.take(choice, vocabulary, events);
        }
        match self.sampler.next()? {
            Next::Complete => Some(Ok(self.finish(FinishReason::Stop, events))),
            Next::Mask(_) | Next::Failed(_) if self.full => {
                Some(Ok(self.finish(FinishReason::Length, events)))
            }
            Next::Mask(_) | Next::Failed(_) | Next::Pending => None,
        }
    }

    fn take_token(
        &mut self,
        sampled: Sampled,
        vocabulary: &Vocabulary,
        events: &mut Vec<RunEventBody>,
    ) -> Option<FinishReason> {
        let token = sampled.token;
        if vocabulary.ends_turn(token) && !self.ignore_eos {
            return Some(self.finish(FinishReason::Stop, events));
        }
        self.generated += 1;
        self.next = Some(token.0);
        if self.answer.push(sampled, vocabulary, events) {
            return Some(self.reason(FinishReason::Stop));
        }
        if self.generated < self.max_tokens {
            return None;
        }
        // The last token that it may have can be the one that completes it.
        self.full = self.sampler.is_constrained();
        (!self.full).then(|| self.finish(FinishReason::Length, events))
    }

    /// Collects its text, if that is to be checked; gives the events that go out now.
    pub(super) fn gather(&mut self, events: Vec<RunEventBody>) -> Vec<RunEventBody> {
        if self.attempt.admission.structure.is_some() {
            for event in &events {
                if let RunEventBody::Delta { text, .. } = event {
                    self.text.push_str(text);
                }
            }
        }
        if self.attempt.holds_events() {
            self.held.extend(events);
            return Vec::new();
        }
        events
    }

    /// The answer, without its place in the context.
    pub(super) fn into_finished(self, reason: FinishReason) -> Finished {
        let Self { attempt, generated, max_tokens, text, held, .. } = self;
        Finished { attempt, reason, generated, max_tokens, text, held, structured: None }
    }

    /// Whether the answer wasn't generated before.
    pub(super) fn is_first_attempt(&self) -> bool {
        self.attempt.number == 1
    }

    /// The request's field that its grammar is of.
    pub(super) fn grammar_param(&self) -> &'static str {
        self.attempt.admission.grammar_param
    }

    /// Ends the answer: what was held back goes out.
    fn finish(&mut self, reason: FinishReason, events: &mut Vec<RunEventBody>) -> FinishReason {
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
