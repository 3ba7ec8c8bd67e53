//! What the head of an answer tells of its run, in every dialect: who serves it, why, and where it stood in the
//! queue.

use axum::response::Response;
use hearth_wire::{RunEvent, RunEventBody, event::Selected};
use http::{HeaderName, HeaderValue};

/// The run's place in the queue when the answer began, from 1.
pub const QUEUE_POSITION: HeaderName = HeaderName::from_static("x-queue-position");
/// The model that serves the run.
pub const MODEL: HeaderName = HeaderName::from_static("x-hearth-model");
/// The provider, or the node, that has it.
pub const PROVIDER: HeaderName = HeaderName::from_static("x-hearth-provider");
/// Why it was chosen.
pub const SELECTION_REASON: HeaderName = HeaderName::from_static("x-hearth-selection-reason");
/// Why it isn't the first choice, if it isn't.
pub const FALLBACK_REASON: HeaderName = HeaderName::from_static("x-hearth-fallback-reason");

/// Every header that tells of a run.
pub const ALL: [HeaderName; 5] = [QUEUE_POSITION, MODEL, PROVIDER, SELECTION_REASON, FALLBACK_REASON];

/// The answer, with what its run's `events` tell: all of them, or in a stream those before its beginning.
#[must_use]
pub fn told<'a>(mut response: Response, events: impl IntoIterator<Item = &'a RunEvent>) -> Response {
    let (mut position, mut selected) = (None, None);
    for event in events {
        match &event.body {
            RunEventBody::Queued { position: place } if position.is_none() => position = Some(*place),
            RunEventBody::Selected(who) => selected = Some(who),
            _ => {}
        }
    }
    if let Some(position) = position {
        response.headers_mut().insert(QUEUE_POSITION, position.into());
    }
    match selected {
        Some(selected) => with_selection(response, selected),
        None => response,
    }
}

fn with_selection(mut response: Response, selected: &Selected) -> Response {
    let told = [
        (MODEL, Some(&selected.model)),
        (PROVIDER, Some(&selected.provider)),
        (SELECTION_REASON, Some(&selected.reason)),
        (FALLBACK_REASON, selected.fallback_reason.as_ref()),
    ];
    for (name, text) in told {
        // What no header can hold, such as a line's end, is left out: it is in the record.
        if let Some(value) = text.and_then(|text| HeaderValue::from_bytes(text.as_bytes()).ok()) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse as _;
    use hearth_domain::Modality;

    use super::*;

    fn selected(model: &str, reason: &str, fallback_reason: Option<&str>) -> RunEventBody {
        RunEventBody::Selected(Selected {
            model: model.to_owned(),
            node: None,
            model_name: model.to_owned(),
            provider: "p".to_owned(),
            modality: Modality::Text,
            reason: reason.to_owned(),
            fallback_used: fallback_reason.is_some(),
            fallback_reason: fallback_reason.map(str::to_owned),
        })
    }

    fn headers(bodies: Vec<RunEventBody>) -> Vec<(String, String)> {
        let events: Vec<_> = (1..).zip(bodies).map(|(seq, body)| RunEvent { seq, body }).collect();
        let response = told(().into_response(), &events);
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        response.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect()
    }

    #[test]
    fn the_last_choice_is_told_and_the_first_place() {
        let told = headers(vec![
            selected("a", "named", None),
            RunEventBody::Queued { position: 2 },
            RunEventBody::Queued { position: 1 },
            selected("b", "für b", Some("provider_error")),
        ]);
        let pairs = [
            ("x-queue-position", "2"),
            ("x-hearth-model", "b"),
            ("x-hearth-provider", "p"),
            ("x-hearth-selection-reason", "für b"),
            ("x-hearth-fallback-reason", "provider_error"),
        ];
        assert_eq!(told, pairs.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert!(headers(Vec::new()).is_empty());
        assert_eq!(headers(vec![selected("a", "two\nlines", None)]).len(), 2);
    }
}
