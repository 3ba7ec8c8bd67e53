//! Checks an answer against the request's JSON Schema, and reports how the schema was enforced.
//!
//! A provider that enforces schemas supports a subset of JSON Schema, and one without schemas may send any JSON: so the
//! complete answer is checked against the client's whole schema, as a local model's is.

use futures::StreamExt as _;
use hearth_domain::{Enforcement, FinishReason, ResponseFormat, SchemaViolation, Structured, TextTask};
use hearth_schema::{AnswerSchema, CheckResult, Violation};
use hearth_wire::{
    RunEventBody,
    answer::{Answer, Answers},
};
use serde_json::Value;

use crate::provider::EventStream;

/// The check of one run's answers.
pub(super) struct SchemaCheck {
    schema: Value,
    enforced: Enforcement,
}

impl SchemaCheck {
    /// Creates the check of the answers to `task`, the client's original; `None` if it has no schema. `is_enforced`: the
    /// provider was asked to enforce it.
    pub(super) fn new(task: &TextTask, is_enforced: bool) -> Option<Self> {
        // A check that takes too much work ends by a panic: without unwinding there can't be one.
        if cfg!(panic = "abort") {
            return None;
        }
        let ResponseFormat::JsonSchema(schema) = &task.response_format else { return None };
        let enforced =
            if is_enforced { Enforcement::ProviderAndValidated } else { Enforcement::RequestedAndValidated };
        Some(Self { schema: schema.clone(), enforced })
    }

    /// Returns `events` with the verdict on each answer inserted before the usage and the end.
    pub(super) fn follow(self, mut events: EventStream) -> EventStream {
        Box::pin(async_stream::stream! {
            let (mut answers, mut usage) = (Answers::default(), None);
            while let Some(event) = events.next().await {
                match event {
                    // The last event but one.
                    RunEventBody::Usage { .. } => usage = Some(event),
                    RunEventBody::Done { .. } => {
                        answers.apply(&event);
                        for verdict in self.verdicts(&answers).await {
                            yield verdict;
                        }
                        if let Some(usage) = usage.take() {
                            yield usage;
                        }
                        yield event;
                    }
                    event => {
                        answers.apply(&event);
                        if event.is_terminal() && let Some(usage) = usage.take() {
                            yield usage;
                        }
                        yield event;
                    }
                }
            }
        })
    }

    /// Returns the verdicts on the answers that are texts. There is none on a tool call or a refusal, nor if the schema
    /// can't be read here.
    async fn verdicts(&self, answers: &Answers) -> Vec<RunEventBody> {
        let is_text = |answer: &Answer| answer.tool_calls.is_empty() && answer.refusal.is_empty();
        let texts: Vec<(u32, String, Option<FinishReason>)> = (0..)
            .zip(answers.all())
            .filter(|(_, answer)| is_text(answer))
            .map(|(choice, answer)| (choice, answer.text.clone(), answer.finish_reason))
            .collect();
        let (schema, enforced) = (self.schema.clone(), self.enforced);
        // A large schema may take seconds.
        let checked = tokio::task::spawn_blocking(move || verdicts(&schema, enforced, texts)).await;
        checked.unwrap_or_default()
    }
}

fn verdicts(
    schema: &Value,
    enforced: Enforcement,
    texts: Vec<(u32, String, Option<FinishReason>)>,
) -> Vec<RunEventBody> {
    let checker = AnswerSchema::parse(schema).and_then(|schema| schema.checker());
    let Ok(checker) = checker else { return Vec::new() };
    let verdict = |(choice, text, reason): (u32, String, Option<FinishReason>)| {
        let CheckResult { valid, errors } = checker.check(&text);
        let errors = match !valid && reason == Some(FinishReason::Length) {
            true => vec![SchemaViolation::of_answer("the answer was cut at its token limit")],
            false => errors
                .into_iter()
                .map(|Violation { path, reason }| SchemaViolation { path, reason })
                .collect(),
        };
        let structured = Structured {
            enforced,
            relaxed: Vec::new(),
            valid,
            concession: None,
            repaired: false,
            attempts: 1,
            errors,
        };
        RunEventBody::Structured { choice, structured }
    };
    texts.into_iter().map(verdict).collect()
}

#[cfg(test)]
mod tests {
    use futures::stream;
    use hearth_domain::{Message, Role, Sampling, Usage};
    use hearth_wire::event::ToolCallBegin;
    use serde_json::json;

    use super::*;

    /// The verdict on an answer of these events, and the events after it.
    async fn checked(schema: Value, events: Vec<RunEventBody>) -> (Option<Structured>, Vec<RunEventBody>) {
        let format = ResponseFormat::JsonSchema(schema);
        let task = TextTask::new(vec![Message::new(Role::User, "Hi")], Sampling::default());
        let task = TextTask { response_format: format, ..task };
        let check = SchemaCheck::new(&task, true).unwrap();
        let mut all: Vec<_> = check.follow(Box::pin(stream::iter(events))).collect().await;
        let place = all.iter().position(|event| matches!(event, RunEventBody::Structured { .. }));
        let verdict = place.map(|place| match all.remove(place) {
            RunEventBody::Structured { structured, .. } => structured,
            other => panic!("{other:?}"),
        });
        (verdict, all.split_off(place.unwrap_or(all.len())))
    }

    fn ends(finish_reason: FinishReason) -> [RunEventBody; 2] {
        [RunEventBody::Usage { usage: Usage::default() }, RunEventBody::Done { finish_reason }]
    }

    #[tokio::test]
    async fn answer_is_checked_before_usage_and_end() {
        let schema = json!({"type": "object", "required": ["at"], "not": {"required": ["no"]}});
        let cases = [
            ("{\"at\":1}", FinishReason::Stop, true, ""),
            ("{\"at\":1,\"no\":2}", FinishReason::Stop, false, "no"),
            ("```json\n{}```", FinishReason::Stop, false, "isn't JSON"),
            ("{\"at\"", FinishReason::Length, false, "token limit"),
        ];
        for (text, reason, valid, word) in cases {
            let (first, second) = text.split_at(3);
            let pieces = [first, second].map(RunEventBody::text).to_vec();
            let (verdict, behind) = checked(schema.clone(), [pieces, ends(reason).to_vec()].concat()).await;
            let verdict = verdict.unwrap();
            assert_eq!(
                (verdict.valid, verdict.enforced),
                (valid, Enforcement::ProviderAndValidated),
                "{text}"
            );
            assert!(word.is_empty() || verdict.errors[0].reason.contains(word), "{text}: {verdict:?}");
            assert_eq!(behind, ends(reason), "{text}");
        }
    }

    #[tokio::test]
    async fn tool_call_and_unreadable_schema_have_no_verdict() {
        let begins = Some(ToolCallBegin { id: "a".to_owned(), name: "f".to_owned() });
        let call = RunEventBody::ToolCall { choice: 0, index: 0, begins, arguments: "{}".to_owned() };
        let events = |event| [vec![event], ends(FinishReason::Stop).to_vec()].concat();
        assert_eq!(checked(json!({"type": "object"}), events(call)).await.0, None);
        let elsewhere = json!({"$ref": "https://example.org/schema"});
        assert_eq!(checked(elsewhere, events(RunEventBody::text("{}"))).await.0, None);
    }
}
