//! The rules for a batch of events. A node is a stranger's program: the gateway checks what it posts.

use hearth_wire::{ApiError, ErrorCode, RunEvent, node_limits::check_event};

/// Limit of the number of events of a batch.
const BATCH_MAX_COUNT: usize = 8_192;
/// Bytes of a run's events beside its answer.
const EVENTS_OVERHEAD_BYTES: u64 = 1 << 20;

/// Limit of the bytes of a run's events as they are stored. JSON may double those of the answer.
pub(super) fn run_max_bytes(answer_max_bytes: u64) -> u64 {
    answer_max_bytes.saturating_mul(2).saturating_add(EVENTS_OVERHEAD_BYTES)
}

/// Checks the events of a batch, and makes those of errors fit for a client.
///
/// # Errors
/// `invalid_request` or `payload_too_large`, if no node may post them.
pub(super) fn check(events: Vec<RunEvent>) -> Result<Vec<RunEvent>, ApiError> {
    if events.len() > BATCH_MAX_COUNT {
        let message =
            format!("a batch has at most {BATCH_MAX_COUNT} events; post the others in the next one");
        return Err(ApiError::new(ErrorCode::PayloadTooLarge, message).at("events"));
    }
    let (first, count) = (events.first().map_or(1, |event| event.seq), events.len());
    if first == 0 {
        return Err(invalid("the events of a run are numbered from 1"));
    }
    let mut checked = Vec::with_capacity(count);
    for (index, event) in events.into_iter().enumerate() {
        if event.seq != first.saturating_add(index as u64) {
            return Err(invalid("the events of a batch have successive numbers"));
        }
        if event.body.is_terminal() && index + 1 < count {
            return Err(invalid("no event follows the one that ends the run"));
        }
        checked.push(check_event(event)?);
    }
    Ok(checked)
}

fn invalid(message: &str) -> ApiError {
    ApiError::invalid("events", message)
}

#[cfg(test)]
mod tests {
    use hearth_domain::FinishReason;
    use hearth_wire::{RunEventBody, node_limits::EVENT_MAX_BYTES};

    use super::*;

    fn event(seq: u64, body: RunEventBody) -> RunEvent {
        RunEvent { seq, body }
    }

    #[test]
    fn successive_events_with_the_terminal_one_last_pass() {
        let done = RunEventBody::Done { finish_reason: FinishReason::Stop };
        let events = vec![event(7, RunEventBody::text("a")), event(8, done)];
        assert_eq!(check(events.clone()), Ok(events));
        assert_eq!(check(Vec::new()), Ok(Vec::new()));
    }

    #[test]
    fn batches_that_no_node_posts_are_refused_with_the_reason() {
        let text = || RunEventBody::text("a");
        let cases = [
            (vec![event(0, text())], "numbered from 1"),
            (vec![event(1, text()), event(3, text())], "successive"),
            (vec![event(2, text()), event(1, text())], "successive"),
            (vec![event(u64::MAX, text()), event(u64::MAX, text()), event(1, text())], "successive"),
            (vec![event(1, RunEventBody::Cancelled), event(2, text())], "no event follows"),
            (
                vec![event(1, RunEventBody::File { index: 0, bytes: vec![1], revised_prompt: None })],
                "kind file",
            ),
            (vec![event(1, RunEventBody::text("a".repeat(EVENT_MAX_BYTES)))], "at most"),
            ((1..=BATCH_MAX_COUNT as u64 + 1).map(|seq| event(seq, text())).collect(), "at most"),
        ];
        for (events, reason) in cases {
            let error = check(events).unwrap_err();
            assert!(error.message.contains(reason), "{error:?}");
        }
    }

    #[test]
    fn error_of_a_node_about_a_credential_is_not_the_clients() {
        let error = ApiError::new(ErrorCode::Unauthorized, "x".repeat(5_000));
        let checked = check(vec![event(1, RunEventBody::Error { error })]).unwrap();
        let RunEventBody::Error { error } = &checked[0].body else { panic!("{checked:?}") };
        assert_eq!((error.code, error.message.len()), (ErrorCode::ProviderAuth, 2_000));
    }
}
