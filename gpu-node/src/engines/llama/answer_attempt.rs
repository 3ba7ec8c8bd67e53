//! Attempts at an answer. A finished answer with a JSON Schema is checked; if it doesn't fit, it may be generated
//! again: a schema retry.

use std::{sync::Arc, time::Duration};

use hearth_domain::{FinishReason, RunId, Structured, check::MAX_CHOICES, sampling::DEFAULT_TEMPERATURE};
use hearth_wire::RunEventBody;

use super::prepared_run::PreparedRun;

/// Age of a run up to which its answers are generated again.
const SCHEMA_RETRY_WINDOW: Duration = Duration::from_secs(60);

/// An answer to generate.
#[derive(Clone)]
pub(super) struct AnswerAttempt {
    pub(super) prepared: Arc<PreparedRun>,
    /// Index of the answer in its run, from 0.
    pub(super) choice: u32,
    /// Number of this attempt, from 1.
    pub(super) number: u32,
    /// Tokens of earlier attempts. All attempts together keep to the answer's limit.
    pub(super) earlier_tokens: u32,
}

impl AnswerAttempt {
    /// The first attempts at all answers of a run.
    pub(super) fn first_attempts(prepared: &Arc<PreparedRun>) -> impl Iterator<Item = Self> {
        let choices = 0..prepared.choices;
        choices.map(move |choice| Self {
            prepared: Arc::clone(prepared),
            choice,
            number: 1,
            earlier_tokens: 0,
        })
    }

    pub(super) fn run(&self) -> RunId {
        self.prepared.run
    }

    /// Added to the request's seed: different for each answer of the run and each attempt at it.
    pub(super) fn seed_offset(&self) -> u32 {
        self.choice + (self.number - 1) * MAX_CHOICES
    }

    /// Maximum number of tokens to generate in a context of this length.
    pub(super) fn max_tokens(&self, context_length: u32) -> u32 {
        let room = context_length.saturating_sub(self.prepared.prompt_tokens()).max(1);
        let max = self.prepared.sampling.max_tokens.unwrap_or(room).min(room);
        max.saturating_sub(self.earlier_tokens).max(1)
    }

    /// Returns whether the answer's events are buffered until its check: an event can't be taken back.
    pub(super) fn buffers_events(&self) -> bool {
        self.prepared.whole && self.prepared.schema_check.is_some()
    }
}

/// An answer that has been generated.
pub(super) struct FinishedAnswer {
    pub(super) attempt: AnswerAttempt,
    pub(super) reason: FinishReason,
    pub(super) generated_tokens: u32,
    pub(super) max_tokens: u32,
    /// The answer's text, if it has a schema.
    pub(super) text: String,
    /// Events that were not sent to the client.
    pub(super) buffered_events: Vec<RunEventBody>,
    /// Result of the check.
    pub(super) structured: Option<Structured>,
}

impl FinishedAnswer {
    /// Returns whether the answer is JSON that has a schema, rather than a tool call.
    pub(super) fn needs_check(&self) -> bool {
        let is_text = matches!(self.reason, FinishReason::Stop | FinishReason::Length);
        is_text && self.attempt.prepared.schema_check.is_some()
    }

    /// Checks the text against the schema.
    pub(super) fn check(mut self) -> Self {
        let schema = self.attempt.prepared.schema_check.as_ref();
        let (attempt, options) = (self.attempt.number, self.attempt.prepared.structured);
        self.structured = schema.map(|schema| schema.check(&self.text, self.reason, attempt, options));
        self
    }

    /// The schema retry: the next attempt, if the answer doesn't fit its schema and may be generated again. It needs another seed to make
    /// a difference, and as many tokens left as this attempt took.
    pub(super) fn schema_retry(&self, run_age: Duration) -> Option<AnswerAttempt> {
        let fits = self.structured.as_ref().is_none_or(|structured| structured.valid);
        let temperature = self.attempt.prepared.sampling.temperature.unwrap_or(DEFAULT_TEMPERATURE);
        let left = self.max_tokens - self.generated_tokens.min(self.max_tokens);
        let again = !fits
            && self.attempt.prepared.whole
            && temperature > 0.0
            && self.attempt.number < self.attempt.prepared.structured.attempts_at_node()
            && left >= self.generated_tokens.max(1)
            && run_age < SCHEMA_RETRY_WINDOW;
        again.then(|| {
            let earlier_tokens = self.attempt.earlier_tokens + self.generated_tokens;
            AnswerAttempt { number: self.attempt.number + 1, earlier_tokens, ..self.attempt.clone() }
        })
    }

    /// The buffered events, and the result of the check.
    pub(super) fn into_events(self) -> Vec<RunEventBody> {
        let choice = self.attempt.choice;
        let structured = self.structured.map(|structured| RunEventBody::Structured { choice, structured });
        self.buffered_events.into_iter().chain(structured).collect()
    }
}

#[cfg(test)]
mod tests {
    use hearth_domain::{Enforcement, Sampling, StructuredOptions};

    use super::*;

    fn finished(valid: bool, change: impl Fn(&mut PreparedRun), generated_tokens: u32) -> FinishedAnswer {
        let mut prepared = PreparedRun::example(100);
        prepared.whole = true;
        prepared.sampling = Sampling { max_tokens: Some(100), ..Sampling::default() };
        change(&mut prepared);
        let attempt = AnswerAttempt::first_attempts(&Arc::new(prepared)).next().unwrap();
        let enforced = Enforcement::GrammarAndValidated;
        let structured = Structured {
            enforced,
            relaxed: Vec::new(),
            valid,
            concession: None,
            repaired: false,
            attempts: 1,
            errors: Vec::new(),
        };
        let max_tokens = attempt.max_tokens(4096);
        FinishedAnswer {
            attempt,
            reason: FinishReason::Stop,
            generated_tokens,
            max_tokens,
            text: String::new(),
            buffered_events: Vec::new(),
            structured: Some(structured),
        }
    }

    #[test]
    fn only_invalid_whole_answers_are_generated_again() {
        let young = Duration::from_secs(1);
        let retries = |finished: &FinishedAnswer, age| finished.schema_retry(age).is_some();
        assert!(retries(&finished(false, |_| (), 50), young));
        assert!(!retries(&finished(true, |_| (), 50), young));
        assert!(!retries(&finished(false, |prepared| prepared.whole = false, 50), young));
        // Greedy sampling would generate the same tokens again.
        assert!(!retries(&finished(false, |prepared| prepared.sampling.temperature = Some(0.0), 50), young));
        // Fewer tokens are left than the attempt took.
        assert!(!retries(&finished(false, |_| (), 51), young));
        assert!(!retries(&finished(false, |_| (), 50), SCHEMA_RETRY_WINDOW));
        let once = StructuredOptions { max_attempts: Some(1), ..StructuredOptions::default() };
        assert!(!retries(&finished(false, |prepared| prepared.structured = once, 50), young));
    }

    #[test]
    fn attempts_share_the_token_limit_and_differ_in_their_seed() {
        let first = finished(false, |_| (), 30);
        let second = first.schema_retry(Duration::ZERO).unwrap();
        assert_eq!((second.number, second.earlier_tokens, second.max_tokens(4096)), (2, 30, 70));
        assert_eq!((first.attempt.seed_offset(), second.seed_offset()), (0, MAX_CHOICES));
        let third = AnswerAttempt { number: StructuredOptions::DEFAULT_ATTEMPTS, ..second };
        let last = FinishedAnswer { attempt: third, ..first };
        assert!(last.schema_retry(Duration::ZERO).is_none());
    }
}
