//! A run's events, as its record tells them when they are not kept, or no longer.

use hearth_domain::{FinishReason, Run, RunState, run::Failure};
use hearth_wire::{
    ApiError, ErrorCode, RunEvent, RunEventBody,
    event::{Selected, ToolCallBegin},
};

/// What a run's record tells in their place, after those already `seen`.
pub(crate) fn retold(run: &Run, seen: u64) -> Vec<RunEvent> {
    let selected = Selected {
        model: run.model.to_string(),
        model_name: run.model.to_string(),
        provider: run.provider.clone(),
        modality: run.modality,
        reason: run.reason.clone(),
        fallback_used: run.fallback_reason.is_some(),
        fallback_reason: run.fallback_reason.clone(),
        resumed: false,
        node: run.node,
    };
    let mut bodies = Vec::new();
    if seen == 0 {
        bodies.push(RunEventBody::Selected(selected));
        if !run.text.is_empty() {
            bodies.push(RunEventBody::text(&*run.text));
        }
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
        bodies.push(RunEventBody::Usage { usage: run.usage });
        bodies.extend(run.cost.map(|cost| RunEventBody::Cost { cost }));
    }
    bodies.push(match (run.state, &run.failure) {
        (RunState::Cancelled, _) => RunEventBody::Cancelled,
        (_, Some(failure)) => RunEventBody::Error { error: told(failure) },
        _ => RunEventBody::Done { finish_reason: run.finish_reason.unwrap_or(FinishReason::Stop) },
    });
    bodies.into_iter().zip(seen + 1..).map(|(body, seq)| RunEvent { seq, body }).collect()
}

fn told(failure: &Failure) -> ApiError {
    let code = ErrorCode::ALL.iter().find(|code| code.as_str() == failure.code).copied();
    ApiError::new(code.unwrap_or(ErrorCode::Internal), failure.message.clone())
}

/// Whether the record of a run that has ended tells all that is worth telling of its events: not their places,
/// nor which piece of the text came when.
pub(super) fn tells<'a>(events: impl IntoIterator<Item = &'a RunEvent>) -> bool {
    let mut selected = 0;
    events.into_iter().all(|event| match &event.body {
        // Of several who tried only the last is in the record.
        RunEventBody::Selected(_) => {
            selected += 1;
            selected == 1
        }
        RunEventBody::Delta { choice, logprobs, .. } => *choice == 0 && logprobs.is_empty(),
        RunEventBody::ToolCall { choice, .. } => *choice == 0,
        RunEventBody::Queued { .. }
        | RunEventBody::Loading { .. }
        | RunEventBody::Started { .. }
        | RunEventBody::Artifact { .. }
        | RunEventBody::Usage { .. }
        | RunEventBody::Cost { .. }
        | RunEventBody::Done { .. }
        | RunEventBody::Cancelled => true,
        // The record has an error's code and message only.
        RunEventBody::Error { .. }
        | RunEventBody::Credits { .. }
        | RunEventBody::Refusal { .. }
        | RunEventBody::StopText { .. }
        | RunEventBody::Structured { .. }
        | RunEventBody::Reasoning { .. }
        | RunEventBody::ChoiceDone { .. }
        | RunEventBody::Embedding { .. }
        | RunEventBody::File { .. } => false,
    })
}

#[cfg(test)]
mod tests {
    use hearth_domain::{Modality, ModelId, RunId, Timestamp, ToolCall, Usage, UserId};
    use hearth_wire::answer::Answers;

    use super::*;

    fn in_order(bodies: Vec<RunEventBody>) -> Vec<RunEvent> {
        (1..).zip(bodies).map(|(seq, body)| RunEvent { seq, body }).collect()
    }

    fn run() -> Run {
        Run {
            id: RunId::new(),
            owner: UserId::new(),
            state: RunState::Completed,
            model: ModelId::new("big"),
            provider: "rig".into(),
            node: None,
            modality: Modality::Text,
            reason: "it was asked for".into(),
            fallback_reason: None,
            queue_position: None,
            usage: Usage { prompt_tokens: 3, completion_tokens: 2, ..Usage::default() },
            cost: None,
            finish_reason: Some(FinishReason::ToolCalls),
            failure: None,
            text: "Hello there.".into(),
            tool_calls: vec![ToolCall { id: "c1".into(), name: "look".into(), arguments: "{}".into() }],
            artifacts: Vec::new(),
            created_at: Timestamp::now(),
            finished_at: Some(Timestamp::now()),
        }
    }

    #[test]
    fn what_is_said_to_be_told_is_told() {
        let run = run();
        let selected = retold(&run, 0).swap_remove(0).body;
        let begins = Some(ToolCallBegin { id: "c1".into(), name: "look".into() });
        let call = |begins, arguments: &str| RunEventBody::ToolCall {
            choice: 0,
            index: 0,
            begins,
            arguments: arguments.into(),
        };
        let events = in_order(vec![
            selected,
            RunEventBody::Started { prompt_tokens: 3 },
            RunEventBody::text("Hello "),
            RunEventBody::text("there."),
            call(begins, "{"),
            call(None, "}"),
            RunEventBody::Usage { usage: run.usage },
            RunEventBody::Done { finish_reason: FinishReason::ToolCalls },
        ]);
        assert!(tells(&events));
        let answers = |events: &[RunEvent]| {
            let mut answers = Answers::default();
            events.iter().for_each(|event| answers.take(&event.body));
            answers.all().to_vec()
        };
        let told = retold(&run, 0);
        assert_eq!(answers(&told), answers(&events));
        assert_eq!(told.last().map(|event| &event.body), events.last().map(|event| &event.body));
        assert!(told.iter().any(|event| event.body == RunEventBody::Usage { usage: run.usage }));
    }

    #[test]
    fn what_the_record_lacks_is_not_said_to_be_told() {
        let selected = retold(&run(), 0).swap_remove(0).body;
        let second = RunEventBody::Delta { choice: 1, text: "or so".into(), logprobs: Vec::new() };
        assert!(!tells(&in_order(vec![selected.clone(), second])));
        assert!(!tells(&in_order(vec![selected.clone(), selected])));
        assert!(!tells(&in_order(vec![RunEventBody::Error {
            error: ApiError::new(ErrorCode::Internal, "no")
        }])));
    }
}
