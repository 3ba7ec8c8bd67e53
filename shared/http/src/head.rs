//! What the head of an answer tells of its run, in every dialect: who serves it, why, where it stood in the
//! queue, what it costs, and whether the answer is a kept one.

use axum::response::Response;
use hearth_gateway::CacheOutcome;
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

/// What the run costs, in US dollars, or `unknown`; not on a stream, which begins before that is known.
pub const COST: HeaderName = HeaderName::from_static("x-hearth-cost");

/// What the cache had for the request, `hit` or `miss`; in a request, what it wants of the cache.
pub const CACHE: HeaderName = HeaderName::from_static("x-hearth-cache");

/// The options of a request that had no effect, in a dialect whose clients send all options that they know.
pub const IGNORED_OPTIONS: HeaderName = HeaderName::from_static("x-hearth-ignored-options");

/// Every header that tells of a run.
pub const ALL: [HeaderName; 8] =
    [QUEUE_POSITION, MODEL, PROVIDER, SELECTION_REASON, FALLBACK_REASON, COST, CACHE, IGNORED_OPTIONS];

/// The answer, with what its run's `events` tell: all of them, or in a stream those before its beginning.
#[must_use]
pub fn told<'a>(mut response: Response, events: impl IntoIterator<Item = &'a RunEvent>) -> Response {
    let (mut position, mut selected, mut cost, mut ended) = (None, None, None, false);
    for event in events {
        match &event.body {
            RunEventBody::Queued { position: place } if position.is_none() => position = Some(*place),
            RunEventBody::Selected(who) => selected = Some(who),
            RunEventBody::Cost { cost: told } => cost = Some(*told),
            body => ended |= body.is_terminal(),
        }
    }
    if let Some(position) = position {
        response.headers_mut().insert(QUEUE_POSITION, position.into());
    }
    if ended {
        // What isn't known is never told as nothing.
        let value = cost.and_then(|cost| HeaderValue::from_str(&cost.to_string()).ok());
        response.headers_mut().insert(COST, value.unwrap_or(HeaderValue::from_static("unknown")));
    }
    match selected {
        Some(selected) => with_selection(response, selected),
        None => response,
    }
}

/// The answer, with what the cache had for the request, if it was asked.
#[must_use]
pub fn cached(mut response: Response, outcome: Option<CacheOutcome>) -> Response {
    if let Some(outcome) = outcome {
        response.headers_mut().insert(CACHE, HeaderValue::from_static(outcome.as_str()));
    }
    response
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
            resumed: false,
        })
    }

    fn headers(bodies: Vec<RunEventBody>) -> Vec<(String, String)> {
        let events: Vec<_> = (1..).zip(bodies).map(|(seq, body)| RunEvent { seq, body }).collect();
        let response = told(().into_response(), &events);
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        response.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect()
    }

    #[test]
    fn what_it_costs_is_told_at_its_end_and_unknown_is_not_nothing() {
        let done = || RunEventBody::Done { finish_reason: hearth_domain::FinishReason::Stop };
        let cost = |text: &str| RunEventBody::Cost { cost: text.parse().unwrap() };
        let told = |bodies: Vec<RunEventBody>| headers(bodies).pop().map(|(_, value)| value);
        assert_eq!(told(vec![cost("0.0000015"), done()]).as_deref(), Some("0.0000015"));
        assert_eq!(told(vec![cost("0"), done()]).as_deref(), Some("0"));
        assert_eq!(told(vec![done()]).as_deref(), Some("unknown"));
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
