//! Events made of a run's record, for a run whose own events aren't stored, or no longer.

use hearth_domain::{FinishReason, Run, RunState, Selection, run::Failure};
use hearth_wire::{ApiError, ErrorCode, RunEvent, RunEventBody, event::ToolCallBegin};

/// The part of a run that a reader has read.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Seen {
    /// The last event's number; 0 for none.
    pub(crate) seq: u64,
    /// Bytes of the first answer's text.
    pub(crate) text_bytes: usize,
}

impl Seen {
    /// Counts an event.
    pub(crate) fn count(&mut self, event: &RunEvent) {
        self.seq = event.seq;
        if let RunEventBody::Delta { choice: 0, text, .. } | RunEventBody::Refusal { choice: 0, text } =
            &event.body
        {
            self.text_bytes += text.len();
        }
    }
}

/// The selection of a record. Records of earlier versions have neither the model's name nor `fallback_used`.
fn selection_of(run: &Run) -> Selection {
    let mut selection = run.selection.clone();
    if selection.model_name.is_empty() {
        selection.model_name = selection.model.to_string();
    }
    selection.fallback_used = selection.fallback_reason.is_some();
    selection
}

/// The events that a run's record contains, without the part that the reader has `seen`. `run` has ended.
pub(crate) fn replay_from_record(run: &Run, seen: Seen) -> Vec<RunEvent> {
    let mut bodies = Vec::new();
    if seen.seq == 0 {
        bodies.push(RunEventBody::Selected(selection_of(run)));
    }
    // A client that has read a part of the text gets the rest.
    let rest = run.text.get(seen.text_bytes..).unwrap_or_default();
    if !rest.is_empty() {
        bodies.push(RunEventBody::text(rest));
    }
    if seen.seq == 0 {
        bodies.extend((0..).zip(&run.tool_calls).map(|(index, call)| RunEventBody::ToolCall {
            choice: 0,
            index,
            begins: Some(ToolCallBegin { id: call.id.clone(), name: call.name.clone() }),
            arguments: call.arguments.clone(),
        }));
        bodies.extend(
            (0..)
                .zip(&run.artifacts)
                .map(|(index, artifact)| RunEventBody::Artifact { index, artifact: artifact.clone() }),
        );
    }
    if seen.seq == 0 || !rest.is_empty() {
        bodies.push(RunEventBody::Usage { usage: run.usage });
        bodies.extend(run.cost.map(|cost| RunEventBody::Cost { cost }));
    }
    bodies.push(match (run.state, &run.failure) {
        (RunState::Cancelled, _) => RunEventBody::Cancelled,
        (_, Some(failure)) => RunEventBody::Error { error: error_of(failure) },
        (RunState::Failed, None) => {
            let message = "the run has failed, and its record has no reason";
            RunEventBody::Error { error: ApiError::new(ErrorCode::Internal, message) }
        }
        _ => RunEventBody::Done { finish_reason: run.finish_reason.unwrap_or(FinishReason::Stop) },
    });
    bodies.into_iter().zip(seen.seq + 1..).map(|(body, seq)| RunEvent { seq, body }).collect()
}

fn error_of(failure: &Failure) -> ApiError {
    let code = ErrorCode::ALL.iter().find(|code| code.as_str() == failure.code).copied();
    ApiError::new(code.unwrap_or(ErrorCode::Internal), failure.message.clone())
}

/// True if the record of a run that has ended contains all of its events that a later reader needs: not their numbers, the
/// pieces of the text, or the provider's credit at that time.
pub(super) fn is_lossless<'a>(events: impl IntoIterator<Item = &'a RunEvent>) -> bool {
    let mut selected = 0;
    events.into_iter().all(|event| match &event.body {
        // Of several candidates only the last is in the record.
        RunEventBody::Selected(_) => {
            selected += 1;
            selected == 1
        }
        RunEventBody::Delta { choice, logprobs, .. } => *choice == 0 && logprobs.is_empty(),
        RunEventBody::ToolCall { choice, .. } => *choice == 0,
        RunEventBody::Waiting { .. }
        | RunEventBody::Queued { .. }
        | RunEventBody::Loading { .. }
        | RunEventBody::Started { .. }
        | RunEventBody::Progress { .. }
        | RunEventBody::Credits { .. }
        | RunEventBody::Artifact { .. }
        | RunEventBody::Usage { .. }
        | RunEventBody::Cost { .. }
        | RunEventBody::Done { .. }
        | RunEventBody::Cancelled => true,
        // The record has an error's code and message only.
        RunEventBody::Error { .. }
        | RunEventBody::Refusal { .. }
        | RunEventBody::StopText { .. }
        | RunEventBody::Structured { .. }
        | RunEventBody::Reasoning { .. }
        | RunEventBody::Extension { .. }
        | RunEventBody::ChoiceDone { .. }
        | RunEventBody::Embedding { .. }
        | RunEventBody::File { .. }
        | RunEventBody::FilePart { .. } => false,
    })
}

/// The terminal event of a run whose record is `run`: `event`, unless the record has another end.
pub(crate) fn end_by_record(event: RunEvent, run: &Run, seen: Seen) -> RunEvent {
    let state = match event.body {
        RunEventBody::Done { .. } => RunState::Completed,
        RunEventBody::Cancelled => RunState::Cancelled,
        _ => RunState::Failed,
    };
    if !run.state.is_terminal() || run.state == state {
        return event;
    }
    let body = replay_from_record(run, seen).pop().map_or(event.body, |end| end.body);
    RunEvent { seq: event.seq, body }
}

#[cfg(test)]
mod tests {
    use hearth_domain::{CreditStatus, Credits, Timestamp, ToolCall, Usage, UserId};
    use hearth_wire::answer::Answers;

    use super::*;

    fn in_order(bodies: Vec<RunEventBody>) -> Vec<RunEvent> {
        (1..).zip(bodies).map(|(seq, body)| RunEvent { seq, body }).collect()
    }

    fn run() -> Run {
        Run {
            state: RunState::Completed,
            selection: Selection::example("big", "rig"),
            usage: Usage { prompt_tokens: 3, completion_tokens: 2, ..Usage::default() },
            finish_reason: Some(FinishReason::ToolCalls),
            text: "Hello there.".into(),
            tool_calls: vec![ToolCall { id: "c1".into(), name: "look".into(), arguments: "{}".into() }],
            finished_at: Some(Timestamp::now()),
            ..Run::example(UserId::new())
        }
    }

    #[test]
    fn lossless_events_are_replayed() {
        let run = run();
        let selected = replay_from_record(&run, Seen::default()).swap_remove(0).body;
        let begins = Some(ToolCallBegin { id: "c1".into(), name: "look".into() });
        let call = |begins, arguments: &str| RunEventBody::ToolCall {
            choice: 0,
            index: 0,
            begins,
            arguments: arguments.into(),
        };
        let credits = Credits { status: CreditStatus::Available, remaining: None, reset_at: None };
        let events = in_order(vec![
            selected,
            RunEventBody::Credits { provider: "rig".into(), credits },
            RunEventBody::Started { prompt_tokens: 3 },
            RunEventBody::text("Hello "),
            RunEventBody::text("there."),
            call(begins, "{"),
            call(None, "}"),
            RunEventBody::Usage { usage: run.usage },
            RunEventBody::Done { finish_reason: FinishReason::ToolCalls },
        ]);
        assert!(is_lossless(&events));
        let answers = |events: &[RunEvent]| {
            let mut answers = Answers::default();
            events.iter().for_each(|event| answers.apply(&event.body));
            answers.all().to_vec()
        };
        let replayed = replay_from_record(&run, Seen::default());
        assert_eq!(answers(&replayed), answers(&events));
        assert_eq!(replayed.last().map(|event| &event.body), events.last().map(|event| &event.body));
        assert!(replayed.iter().any(|event| event.body == RunEventBody::Usage { usage: run.usage }));
    }

    #[test]
    fn events_that_the_record_lacks_are_not_lossless() {
        let selected = replay_from_record(&run(), Seen::default()).swap_remove(0).body;
        let second = RunEventBody::Delta { choice: 1, text: "or so".into(), logprobs: Vec::new() };
        assert!(!is_lossless(&in_order(vec![selected.clone(), second])));
        assert!(!is_lossless(&in_order(vec![selected.clone(), selected])));
        assert!(!is_lossless(&in_order(vec![RunEventBody::Error {
            error: ApiError::new(ErrorCode::Internal, "no")
        }])));
    }

    #[test]
    fn reader_of_a_part_gets_the_rest_of_the_text() {
        let run = run();
        let mut seen = Seen::default();
        seen.count(&RunEvent { seq: 4, body: RunEventBody::text("Hello ") });
        let rest = replay_from_record(&run, seen);
        assert_eq!((rest[0].seq, &rest[0].body), (5, &RunEventBody::text("there.")));
        assert!(rest.last().unwrap().body.is_terminal());
        seen.text_bytes = run.text.len();
        assert_eq!(replay_from_record(&run, seen).len(), 1);
    }
}
