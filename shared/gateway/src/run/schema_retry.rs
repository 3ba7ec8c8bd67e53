//! Requests an answer again that doesn't fit its JSON Schema, with the errors as a further turn.
//!
//! That is for answers of providers that the client gets in one piece, up to the number of attempts that the request allows.
//! A node generates such answers again itself. The events of each answer are held until it is checked; if no answer fits, the
//! best one is sent. Usage and cost are the sums over all attempts.

use hearth_domain::{
    Delivery, FinishReason, Generation, Message, Role, SchemaViolation, Structured, StructuredStatus, Task,
};
use hearth_wire::RunEventBody;

use super::{output::RunOutput, resume::UsageAndCost};

/// First part of the turn that requests a corrected answer.
const PROBLEM: &str = "Your last answer does not fit the JSON Schema:";
/// Its last part.
const INSTRUCTION: &str = "Answer again with the whole corrected JSON, and with nothing before or after it.";
/// Largest length of an answer that the model is shown again.
const ANSWER_MAX_CHARS: usize = 40_000;
/// Text in place of an empty answer: providers refuse empty turns.
const EMPTY_ANSWER: &str = "(no answer)";

/// The attempts at one answer.
#[derive(Debug)]
pub(super) struct SchemaRetry {
    max_attempts: u32,
    /// Number of complete answers.
    attempts: u32,
    /// Number of the conversation's own messages. Those of a retry come after them.
    messages: usize,
    /// Events of the present answer.
    held: Vec<RunEventBody>,
    /// The best complete answer that doesn't fit, without its usage.
    best: Option<UnfitAnswer>,
    /// Usage and cost of the earlier attempts.
    spent: Option<UsageAndCost>,
}

/// A complete answer that doesn't fit its schema.
#[derive(Debug)]
struct UnfitAnswer {
    events: Vec<RunEventBody>,
    status: StructuredStatus,
}

/// The state after an event of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HeldAnswer {
    /// The answer is incomplete.
    Open,
    /// The client has its end.
    Sent,
    /// It doesn't fit, and the next one is requested with the changed conversation.
    Unfit,
}

impl SchemaRetry {
    /// `None` for an answer that isn't requested again.
    pub(super) fn new(generation: &Generation, delivery: Delivery) -> Option<Self> {
        let Task::Text(task) = &generation.task else { return None };
        let max_attempts = task.structured.attempts_at_provider();
        let is_retried = delivery == Delivery::Whole
            && task.response_format.has_schema()
            && task.choices == 1
            && max_attempts > 1;
        is_retried.then(|| Self {
            max_attempts,
            attempts: 0,
            messages: task.messages.len(),
            held: Vec::new(),
            best: None,
            spent: None,
        })
    }

    /// Takes the usage and cost of the earlier attempts.
    pub(super) fn take_spent(&mut self) -> Option<UsageAndCost> {
        self.spent.take()
    }

    pub(super) fn has_spent(&self) -> bool {
        self.spent.is_some()
    }

    fn add_spent(&mut self, spent: UsageAndCost) {
        self.spent = Some(self.spent.map_or(spent, |earlier| earlier.and(spent)));
    }

    /// The verdict on the present answer, if it has one.
    fn verdict(&self) -> Option<&Structured> {
        self.held.iter().find_map(|event| match event {
            RunEventBody::Structured { structured, .. } => Some(structured),
            _ => None,
        })
    }

    /// The text of the present answer.
    fn text(&self) -> String {
        let texts = self.held.iter().filter_map(|event| match event {
            RunEventBody::Delta { text, .. } => Some(text.as_str()),
            _ => None,
        });
        let text: String = texts.flat_map(str::chars).take(ANSWER_MAX_CHARS).collect();
        if text.trim().is_empty() { EMPTY_ANSWER.to_owned() } else { text }
    }

    /// The request for a corrected answer.
    fn next_request(&self, generation: &Generation, errors: &[SchemaViolation]) -> Generation {
        let mut generation = generation.clone();
        if let Task::Text(task) = &mut generation.task {
            task.messages.truncate(self.messages);
            task.messages.push(Message::new(Role::Assistant, self.text()));
            let errors: String =
                errors.iter().map(|error| format!("\n- {}", place_and_reason(error))).collect();
            task.messages.push(Message::new(Role::User, format!("{PROBLEM}{errors}\n\n{INSTRUCTION}")));
        }
        generation
    }
}

fn place_and_reason(SchemaViolation { path, reason }: &SchemaViolation) -> String {
    match path.as_str() {
        "" => reason.clone(),
        path => format!("at {path}: {reason}"),
    }
}

impl RunOutput {
    /// Sends an event of an answer that may be requested again, or holds it until the answer is complete.
    pub(super) async fn hold(&mut self, event: RunEventBody) -> HeldAnswer {
        let Some(retry) = &mut self.schema_retry else {
            let is_end = event.is_terminal();
            self.emit(event).await;
            return if is_end { HeldAnswer::Sent } else { HeldAnswer::Open };
        };
        match event {
            RunEventBody::Done { finish_reason } => self.complete(finish_reason).await,
            end if end.is_terminal() => {
                if retry.attempts == 0 {
                    for event in std::mem::take(&mut retry.held) {
                        self.emit(event).await;
                    }
                } else {
                    self.charge_held();
                }
                self.emit(end).await;
                HeldAnswer::Sent
            }
            event if event.commits_to_candidate() || is_of_answer(&event) => {
                retry.held.push(event);
                HeldAnswer::Open
            }
            progress => {
                self.emit(progress).await;
                HeldAnswer::Open
            }
        }
    }

    /// Charges the events that are held of an answer that broke off, and drops them.
    pub(super) fn charge_held(&mut self) {
        let Some(retry) = &mut self.schema_retry else { return };
        let held = std::mem::take(&mut retry.held);
        held.iter().for_each(|event| self.unreported.observe(event));
        let reported = held.iter().find_map(|event| match event {
            RunEventBody::Usage { usage } => Some(*usage),
            _ => None,
        });
        let usage = reported.or_else(|| self.unreported.estimate(&self.generation));
        self.unreported = Default::default();
        if let Some(usage) = usage {
            let spent = self.charge(usage);
            if let Some(retry) = &mut self.schema_retry {
                retry.add_spent(spent);
            }
        }
    }

    /// Sends the best answer so far, if there is one: a further attempt has failed. Returns false if there is none.
    pub(super) async fn emit_best_unfit(&mut self) -> bool {
        let Some(retry) = &mut self.schema_retry else { return false };
        let Some(UnfitAnswer { events, .. }) = retry.best.take() else { return false };
        let (attempts, spent) = (retry.attempts, retry.take_spent());
        for event in events {
            if let (RunEventBody::Done { .. }, Some(spent)) = (&event, spent) {
                self.unreported.observe(&RunEventBody::Usage { usage: spent.usage });
                self.send_usage(spent).await;
            }
            self.emit(with_attempts(event, attempts)).await;
        }
        true
    }

    /// Ends an answer: sends it, or prepares the next attempt.
    async fn complete(&mut self, finish_reason: FinishReason) -> HeldAnswer {
        let Some(retry) = &mut self.schema_retry else { return HeldAnswer::Open };
        retry.attempts += 1;
        let verdict = retry.verdict().filter(|verdict| {
            matches!(verdict.status(), StructuredStatus::Failed | StructuredStatus::Relaxed)
        });
        // A longer answer would be cut again.
        let is_cut = finish_reason == FinishReason::Length;
        let Some((status, errors)) = verdict.map(|verdict| (verdict.status(), verdict.errors.clone())) else {
            return self.send_held(finish_reason).await;
        };
        if is_cut || retry.attempts >= retry.max_attempts {
            // An earlier one may be better.
            let is_better = |best: &UnfitAnswer| {
                best.status == StructuredStatus::Relaxed && status == StructuredStatus::Failed
            };
            if retry.best.as_ref().is_some_and(is_better) {
                self.charge_held();
                self.emit_best_unfit().await;
                return HeldAnswer::Sent;
            }
            return self.send_held(finish_reason).await;
        }
        let next = retry.next_request(&self.generation, &errors);
        let is_worse = retry.best.as_ref().is_some_and(|best| {
            best.status == StructuredStatus::Relaxed && status == StructuredStatus::Failed
        });
        if !is_worse {
            let without_usage = |event: &&RunEventBody| !matches!(event, RunEventBody::Usage { .. });
            let mut events: Vec<_> = retry.held.iter().filter(without_usage).cloned().collect();
            events.push(RunEventBody::Done { finish_reason });
            retry.best = Some(UnfitAnswer { events, status });
        }
        let attempt = retry.attempts;
        tracing::info!(run = %self.id, trace_id = self.trace.id(), attempt, "an answer doesn't fit its schema; it is requested again");
        self.charge_held();
        self.generation = std::sync::Arc::new(next);
        HeldAnswer::Unfit
    }

    async fn send_held(&mut self, finish_reason: FinishReason) -> HeldAnswer {
        let Some(retry) = &mut self.schema_retry else { return HeldAnswer::Open };
        let (held, attempts) = (std::mem::take(&mut retry.held), retry.attempts);
        for event in held {
            self.emit(with_attempts(event, attempts)).await;
        }
        self.emit(RunEventBody::Done { finish_reason }).await;
        HeldAnswer::Sent
    }
}

/// Returns whether an event that commits to no candidate is of the answer itself.
fn is_of_answer(event: &RunEventBody) -> bool {
    matches!(event, RunEventBody::Structured { .. } | RunEventBody::StopText { .. })
}

fn with_attempts(event: RunEventBody, attempts: u32) -> RunEventBody {
    match event {
        RunEventBody::Structured { choice, structured } => {
            RunEventBody::Structured { choice, structured: Structured { attempts, ..structured } }
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use hearth_domain::{ResponseFormat, Sampling, StructuredOptions, TextTask};
    use serde_json::json;

    use super::*;

    fn generation(max_attempts: Option<u32>) -> Generation {
        let task = TextTask {
            response_format: ResponseFormat::JsonSchema(json!({"type": "object"})),
            structured: StructuredOptions { max_attempts, ..StructuredOptions::default() },
            ..TextTask::new(vec![Message::new(Role::User, "Extract")], Sampling::default())
        };
        Generation::new(None, task)
    }

    #[test]
    fn only_whole_answers_with_several_attempts_are_requested_again() {
        assert!(SchemaRetry::new(&generation(Some(2)), Delivery::Whole).is_some());
        assert!(SchemaRetry::new(&generation(Some(2)), Delivery::Stream).is_none());
        assert!(SchemaRetry::new(&generation(None), Delivery::Whole).is_none());
        let mut plain = generation(Some(2));
        if let Task::Text(task) = &mut plain.task {
            task.response_format = ResponseFormat::Text;
        }
        assert!(SchemaRetry::new(&plain, Delivery::Whole).is_none());
    }

    #[test]
    fn next_request_has_the_answer_and_its_errors_once() {
        let first = generation(Some(3));
        let mut retry = SchemaRetry::new(&first, Delivery::Whole).unwrap();
        let errors = [
            SchemaViolation { path: "/a/0".to_owned(), reason: "is short".to_owned() },
            SchemaViolation::of_answer("the answer isn't JSON"),
        ];
        let second = retry.next_request(&first, &errors);
        retry.held.push(RunEventBody::text("{\"a\":"));
        retry.held.push(RunEventBody::text("[]}"));
        let Task::Text(task) = retry.next_request(&second, &errors).task else { panic!("no text") };
        let texts: Vec<_> = task.messages.iter().map(|message| message.content.as_str()).collect();
        let [asked, answer, correction] = texts.as_slice() else { panic!("{texts:?}") };
        assert_eq!((*asked, *answer), ("Extract", "{\"a\":[]}"));
        assert!(correction.contains("- at /a/0: is short\n- the answer isn't JSON"), "{correction}");
        let Task::Text(task) = second.task else { panic!("no text") };
        assert_eq!(task.messages[1].content, EMPTY_ANSWER);
    }
}
