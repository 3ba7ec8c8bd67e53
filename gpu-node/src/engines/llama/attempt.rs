//! An answer that has yet to be generated, and one that was: checked against its schema, it may be generated again.

use std::{sync::Arc, time::Duration};

use hearth_domain::{FinishReason, RunId, Structured, check::MAX_CHOICES, sampling::DEFAULT_TEMPERATURE};
use hearth_wire::RunEventBody;

use super::prompt::Admission;

/// How often an answer is generated until it fits its schema.
const ATTEMPTS_MAX_COUNT: u32 = 3;
/// How long a run may have gone on when an answer of it is generated again.
const RETRY_WINDOW: Duration = Duration::from_secs(60);

/// An answer to generate.
#[derive(Clone)]
pub(super) struct Attempt {
    pub(super) admission: Arc<Admission>,
    /// Which of the run's answers, from 0.
    pub(super) choice: u32,
    /// Which time, from 1.
    pub(super) number: u32,
    /// The tokens of earlier attempts; all together keep to the answer's limit.
    pub(super) spent: u32,
}

impl Attempt {
    /// The first attempts at a run's answers.
    pub(super) fn firsts(admission: &Arc<Admission>) -> impl Iterator<Item = Self> {
        let choices = 0..admission.choices;
        choices.map(move |choice| Self { admission: Arc::clone(admission), choice, number: 1, spent: 0 })
    }

    pub(super) fn run(&self) -> RunId {
        self.admission.run
    }

    /// A number that no other answer of the run and no other attempt at it has.
    pub(super) fn variant(&self) -> u32 {
        self.choice + (self.number - 1) * MAX_CHOICES
    }

    /// How many tokens it may have, in a context of this length.
    pub(super) fn max_tokens(&self, context_length: u32) -> u32 {
        let room = context_length.saturating_sub(self.admission.prompt_tokens()).max(1);
        let most = self.admission.sampling.max_tokens.unwrap_or(room).min(room);
        most.saturating_sub(self.spent).max(1)
    }

    /// Whether the events of an answer wait for its check: they can't be taken back.
    pub(super) fn holds_events(&self) -> bool {
        self.admission.whole && self.admission.structure.is_some()
    }
}

/// An answer that has been generated.
pub(super) struct Finished {
    pub(super) attempt: Attempt,
    pub(super) reason: FinishReason,
    /// The tokens that it has.
    pub(super) generated: u32,
    /// The tokens that it might have had.
    pub(super) max_tokens: u32,
    /// Its text, if that is to be checked.
    pub(super) text: String,
    /// Events that its client hasn't been given.
    pub(super) held: Vec<RunEventBody>,
    pub(super) structured: Option<Structured>,
}

impl Finished {
    /// Whether its schema says something of it: it is JSON, not a call of a tool.
    pub(super) fn to_check(&self) -> bool {
        let answers = matches!(self.reason, FinishReason::Stop | FinishReason::Length);
        answers && self.attempt.admission.structure.is_some()
    }

    /// Checks it against its schema.
    pub(super) fn check(mut self) -> Self {
        let structure = self.attempt.admission.structure.as_ref();
        self.structured =
            structure.map(|structure| structure.check(&self.text, self.reason, self.attempt.number));
        self
    }

    /// The attempt that follows, if this answer doesn't fit its schema and another may: with other random numbers,
    /// and as many tokens left as this one took.
    pub(super) fn next_attempt(&self, since: Duration) -> Option<Attempt> {
        let fits = self.structured.as_ref().is_none_or(|structured| structured.valid);
        let temperature = self.attempt.admission.sampling.temperature.unwrap_or(DEFAULT_TEMPERATURE);
        let left = self.max_tokens - self.generated.min(self.max_tokens);
        let again = !fits
            && self.attempt.admission.whole
            && temperature > 0.0
            && self.attempt.number < ATTEMPTS_MAX_COUNT
            && left >= self.generated.max(1)
            && since < RETRY_WINDOW;
        again.then(|| {
            let spent = self.attempt.spent + self.generated;
            Attempt { number: self.attempt.number + 1, spent, ..self.attempt.clone() }
        })
    }

    /// What its client is given yet.
    pub(super) fn into_events(self) -> Vec<RunEventBody> {
        let choice = self.attempt.choice;
        let structured = self.structured.map(|structured| RunEventBody::Structured { choice, structured });
        self.held.into_iter().chain(structured).collect()
    }
}

#[cfg(test)]
mod tests {
    use hearth_domain::{Enforcement, Sampling};

    use super::*;

    fn finished(valid: bool, change: impl Fn(&mut Admission), generated: u32) -> Finished {
        let mut admission = Admission::example(100);
        admission.whole = true;
        admission.sampling = Sampling { max_tokens: Some(100), ..Sampling::default() };
        change(&mut admission);
        let attempt = Attempt::firsts(&Arc::new(admission)).next().unwrap();
        let enforced = Enforcement::GrammarAndValidated;
        let structured = Structured { enforced, relaxed: Vec::new(), valid, attempts: 1, errors: Vec::new() };
        let max_tokens = attempt.max_tokens(4096);
        let (reason, text, held) = (FinishReason::Stop, String::new(), Vec::new());
        Finished { attempt, reason, generated, max_tokens, text, held, structured: Some(structured) }
    }

    #[test]
    fn only_invalid_whole_answers_are_generated_again() {
        let soon = Duration::from_secs(1);
        let retries = |finished: &Finished, since| finished.next_attempt(since).is_some();
        assert!(retries(&finished(false, |_| (), 50), soon));
        assert!(!retries(&finished(true, |_| (), 50), soon));
        assert!(!retries(&finished(false, |admission| admission.whole = false, 50), soon));
        // The likeliest tokens would be the same.
        assert!(!retries(&finished(false, |admission| admission.sampling.temperature = Some(0.0), 50), soon));
        // There wouldn't be as many tokens left.
        assert!(!retries(&finished(false, |_| (), 51), soon));
        assert!(!retries(&finished(false, |_| (), 50), RETRY_WINDOW));
    }

    #[test]
    fn attempts_share_the_token_limit_and_differ_in_their_seed() {
        let first = finished(false, |_| (), 30);
        let second = first.next_attempt(Duration::ZERO).unwrap();
        assert_eq!((second.number, second.spent, second.max_tokens(4096)), (2, 30, 70));
        assert_eq!((first.attempt.variant(), second.variant()), (0, MAX_CHOICES));
        let third = Attempt { number: ATTEMPTS_MAX_COUNT, ..second };
        let last = Finished { attempt: third, ..first };
        assert!(last.next_attempt(Duration::ZERO).is_none());
    }
}
