//! Checks an answer against the request's JSON Schema, and reports how the schema was enforced.
//!
//! A provider that enforces schemas supports a subset of JSON Schema, and one without schemas may send any text: so the
//! complete answer is checked against the client's whole schema, as a local model's is. An answer that the client gets in one
//! piece is buffered until its end: its JSON is extracted from the text around it, and brought into the client's form.

use futures::StreamExt as _;
use hearth_domain::{
    Concession, Delivery, Enforcement, FinishReason, ResponseFormat, SchemaViolation, Structured,
    StructuredHow, StructuredOptions, TextTask,
};
use hearth_schema::{AnswerChecker, AnswerSchema, CheckResult, ExtractedJson, Violation, extract};
use hearth_wire::{
    RunEventBody,
    answer::{Answer, Answers},
    extension::Extension,
};
use serde_json::Value;

use crate::{answer_schema::AnswerForm, provider::EventStream};

/// The check of one run's answers.
pub(super) struct SchemaCheck {
    /// The client's schema.
    schema: Value,
    enforced: Enforcement,
    options: StructuredOptions,
    form: AnswerForm,
    /// The client gets the answer in one piece.
    is_whole: bool,
}

impl SchemaCheck {
    /// Creates the check of the answers to `task`, the client's original; `None` if it has no schema. `form`: the changes of
    /// the answers' form that are undone.
    pub(super) fn new(
        task: &TextTask,
        how: StructuredHow,
        form: AnswerForm,
        delivery: Delivery,
    ) -> Option<Self> {
        let ResponseFormat::JsonSchema(schema) = &task.response_format else { return None };
        let enforced = match how {
            StructuredHow::Grammar | StructuredHow::Strict => Enforcement::ProviderAndValidated,
            StructuredHow::Tool => Enforcement::ToolAndValidated,
            StructuredHow::Asked => Enforcement::RequestedAndValidated,
        };
        let is_whole = delivery == Delivery::Whole;
        Some(Self { schema: schema.clone(), enforced, options: task.structured, form, is_whole })
    }

    /// Returns `events` with the verdict on each answer inserted before the usage and the end.
    pub(super) fn follow(self, mut events: EventStream) -> EventStream {
        Box::pin(async_stream::stream! {
            let (mut answers, mut usage) = (Answers::default(), None);
            let mut buffer = Vec::new();
            while let Some(event) = events.next().await {
                match event {
                    // The last event but one.
                    RunEventBody::Usage { .. } => usage = Some(event),
                    RunEventBody::Done { .. } => {
                        answers.apply(&event);
                        let (texts, verdicts) = self.finish(&answers).await;
                        for event in with_texts(std::mem::take(&mut buffer), &texts) {
                            yield event;
                        }
                        for verdict in verdicts {
                            yield verdict;
                        }
                        if let Some(usage) = usage.take() {
                            yield usage;
                        }
                        yield event;
                    }
                    event => {
                        answers.apply(&event);
                        if self.is_whole && event.commits_to_candidate() && !event.is_terminal() {
                            buffer.push(event);
                            continue;
                        }
                        if event.is_terminal() {
                            for event in std::mem::take(&mut buffer) {
                                yield event;
                            }
                            if let Some(usage) = usage.take() {
                                yield usage;
                            }
                        }
                        yield event;
                    }
                }
            }
        })
    }

    /// Returns the texts that replace those of the answers, and the verdicts on the answers that are texts. There is none on
    /// a tool call or a refusal, nor if the schema can't be read here.
    async fn finish(&self, answers: &Answers) -> (Vec<(u32, String)>, Vec<RunEventBody>) {
        let is_text = |answer: &Answer| answer.tool_calls.is_empty() && answer.refusal.is_empty();
        let texts: Vec<(u32, String, Option<FinishReason>)> = (0..)
            .zip(answers.all())
            .filter(|(_, answer)| is_text(answer))
            .map(|(choice, answer)| (choice, answer.text.clone(), answer.finish_reason))
            .collect();
        let Self { schema, enforced, options, form, is_whole } = self;
        let (schema, form) = (schema.clone(), form.clone());
        let (enforced, options, is_whole) = (*enforced, *options, *is_whole);
        // A large schema may take seconds.
        let check = move || {
            let checkers = Checkers::new(&schema, options);
            let (mut replaced, mut verdicts) = (Vec::new(), Vec::new());
            for (choice, mut text, reason) in texts {
                let mut repaired = false;
                if is_whole && let Some(better) = final_text(&text, &form, checkers.as_ref()) {
                    repaired = better.repaired;
                    replaced.push((choice, better.text.clone()));
                    text = better.text;
                }
                let structured =
                    checkers.as_ref().map(|checkers| checkers.verdict(&text, reason, enforced, repaired));
                verdicts.extend(structured.map(|structured| RunEventBody::Structured { choice, structured }));
            }
            (replaced, verdicts)
        };
        tokio::task::spawn_blocking(check).await.unwrap_or_default()
    }
}

/// The text of an answer as its client gets it.
struct FinalText {
    text: String,
    repaired: bool,
}

/// Returns the text in place of an answer's, if it is another: its JSON alone, in the client's form.
fn final_text(text: &str, form: &AnswerForm, checkers: Option<&Checkers>) -> Option<FinalText> {
    let ExtractedJson { text: json, value, repaired } = extract(text)?;
    let restored = form.restore(&value).filter(|restored| {
        // What looks like the rewritten form may be the client's own.
        let fits = |value: &Value| checkers.and_then(|checkers| checkers.fits(value));
        fits(restored) != Some(false) || fits(&value) != Some(true)
    });
    match restored {
        Some(restored) => Some(FinalText { text: restored.to_string(), repaired }),
        None => repaired.then(|| FinalText { text: json.into_owned(), repaired }),
    }
}

/// The validators of a request's schema.
struct Checkers {
    options: StructuredOptions,
    whole: AnswerChecker,
    /// Of its lenient form, where the request allows it.
    lenient: Option<AnswerChecker>,
}

impl Checkers {
    /// `None` for a schema that can't be read here: it refers to another document, or exceeds a limit.
    fn new(schema: &Value, options: StructuredOptions) -> Option<Self> {
        let schema = AnswerSchema::parse(schema).ok()?;
        let whole = schema.checker().ok()?;
        let lenient = if options.allow_relaxed { schema.lenient_checker().ok() } else { None };
        Some(Self { options, whole, lenient })
    }

    /// Returns whether an answer fits; `None` if answers aren't validated.
    fn fits(&self, answer: &Value) -> Option<bool> {
        (!self.options.bypass_validation).then(|| self.whole.check_value(answer.clone()).valid)
    }

    fn verdict(
        &self,
        text: &str,
        reason: Option<FinishReason>,
        enforced: Enforcement,
        repaired: bool,
    ) -> Structured {
        let unchecked = Structured {
            enforced,
            relaxed: Vec::new(),
            valid: false,
            concession: Some(Concession::Bypassed),
            repaired,
            attempts: 1,
            errors: Vec::new(),
        };
        if self.options.bypass_validation {
            return unchecked;
        }
        let CheckResult { valid, errors } = self.whole.check(text);
        let is_cut = !valid && reason == Some(FinishReason::Length);
        let errors = match is_cut {
            true => vec![SchemaViolation::of_answer("the answer was cut at its token limit")],
            false => errors
                .into_iter()
                .map(|Violation { path, reason }| SchemaViolation { path, reason })
                .collect(),
        };
        let is_relaxed =
            !valid && !is_cut && self.lenient.as_ref().is_some_and(|lenient| lenient.check(text).valid);
        let concession = is_relaxed.then_some(Concession::Relaxed);
        Structured { valid, concession, errors, ..unchecked }
    }
}

/// Replaces the texts of answers in their events: the first piece becomes the whole text, with the log-probabilities of all
/// pieces, and the others are dropped, with their citations.
fn with_texts(events: Vec<RunEventBody>, texts: &[(u32, String)]) -> Vec<RunEventBody> {
    if texts.is_empty() {
        return events;
    }
    let mut replaced: Vec<RunEventBody> = Vec::with_capacity(events.len());
    let mut places: Vec<(u32, usize)> = Vec::new();
    for event in events {
        // They are about the pieces of the text that is replaced.
        if let RunEventBody::Extension {
            choice,
            extension: Extension::TextBlock | Extension::Phase(_) | Extension::Annotation(_),
            ..
        } = &event
            && texts.iter().any(|(number, _)| number == choice)
        {
            continue;
        }
        let RunEventBody::Delta { choice, logprobs, .. } = &event else {
            replaced.push(event);
            continue;
        };
        let Some((_, text)) = texts.iter().find(|(number, _)| number == choice) else {
            replaced.push(event);
            continue;
        };
        let place = places.iter().find(|(number, _)| number == choice).map(|(_, place)| *place);
        match place.and_then(|place| replaced.get_mut(place)) {
            Some(RunEventBody::Delta { logprobs: all, .. }) => all.extend_from_slice(logprobs),
            _ => {
                places.push((*choice, replaced.len()));
                let (choice, text, logprobs) = (*choice, text.clone(), logprobs.clone());
                replaced.push(RunEventBody::Delta { choice, text, logprobs });
            }
        }
    }
    replaced
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
        let form = AnswerForm::default();
        let check = SchemaCheck::new(&task, StructuredHow::Strict, form, Delivery::Stream).unwrap();
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

    /// The text and the verdict of an answer in one piece to a task with these options.
    async fn whole(schema: Value, options: StructuredOptions, pieces: &[&str]) -> (String, Structured) {
        let task = TextTask::new(vec![Message::new(Role::User, "Hi")], Sampling::default());
        let format = ResponseFormat::JsonSchema(schema);
        let task = TextTask { response_format: format, structured: options, ..task };
        let check =
            SchemaCheck::new(&task, StructuredHow::Asked, AnswerForm::default(), Delivery::Whole).unwrap();
        let events = pieces.iter().map(|piece| RunEventBody::text(*piece)).chain(ends(FinishReason::Stop));
        let events: Vec<RunEventBody> = events.collect();
        let mut answers = Answers::default();
        let all: Vec<_> = check.follow(Box::pin(stream::iter(events))).collect().await;
        all.iter().for_each(|event| answers.apply(event));
        let answer = answers.all()[0].clone();
        (answer.text, answer.structured.unwrap())
    }

    #[tokio::test]
    async fn json_of_a_whole_answer_is_extracted_and_repaired() {
        use hearth_domain::StructuredStatus::{Bypassed, Failed, Passed, Relaxed};
        let schema = json!({"type": "object", "required": ["at"], "properties": {"at": {"type": "integer"}}});
        let default = StructuredOptions::default();
        let relaxed = StructuredOptions { allow_relaxed: true, ..default };
        let bypassed = StructuredOptions { bypass_validation: true, ..default };
        for (options, pieces, text, status) in [
            (default, ["Here it is:\n```json\n{\"at\":", " 1,}\n```\nBye"], "{\"at\": 1}", Passed),
            (default, ["{\"at\":", "1}"], "{\"at\":1}", Passed),
            (default, ["{\"at\":", "\"x\"}"], "{\"at\":\"x\"}", Failed),
            (default, ["no ", "JSON"], "no JSON", Failed),
            (default, ["{", "}"], "{}", Failed),
            (relaxed, ["{", "}"], "{}", Relaxed),
            (relaxed, ["{\"at\":", "\"x\"}"], "{\"at\":\"x\"}", Failed),
            (bypassed, ["{", "}"], "{}", Bypassed),
        ] {
            let (got, verdict) = whole(schema.clone(), options, &pieces).await;
            assert_eq!((got.as_str(), verdict.status()), (text, status), "{pieces:?}");
            assert_eq!(verdict.repaired, pieces[0].contains("```"), "{pieces:?}");
        }
    }
}
