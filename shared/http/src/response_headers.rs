//! Response headers that describe a run, in every dialect: model, provider, the reason of the choice, place in the queue,
//! cost, and the cache's part.

use axum::response::Response;
use hearth_domain::{AppliedDefinition, AppliedDefinitions, Payer, Selection};
use hearth_gateway::CacheOutcome;
use hearth_wire::{RunEvent, RunEventBody};
use http::{HeaderName, HeaderValue};

/// Place of the run in the queue when the response began, from 1.
pub const QUEUE_POSITION: HeaderName = HeaderName::from_static("x-queue-position");
/// Model that serves the run.
pub const MODEL: HeaderName = HeaderName::from_static("x-hearth-model");
/// Provider, or node, of that model.
pub const PROVIDER: HeaderName = HeaderName::from_static("x-hearth-provider");
/// Owner of the provider's key: `user`, `team`, `organisation` or `operator`. Absent for a node.
pub const PAYER: HeaderName = HeaderName::from_static("x-hearth-payer");
/// Reason why that model was chosen.
pub const SELECTION_REASON: HeaderName = HeaderName::from_static("x-hearth-selection-reason");
/// Reason why the first choice doesn't serve the run, if another candidate does.
pub const FALLBACK_REASON: HeaderName = HeaderName::from_static("x-hearth-fallback-reason");

/// Cost of the run in US dollars, or `unknown`. Absent from streams, which begin before the cost is known.
pub const COST: HeaderName = HeaderName::from_static("x-hearth-cost");

/// Outcome of the cache, `hit` or `miss`; in a request, how the cache may be used.
pub const CACHE: HeaderName = HeaderName::from_static("x-hearth-cache");

/// Options of the request that had no effect, in a dialect whose clients send options that the gateway doesn't have.
pub const IGNORED_OPTIONS: HeaderName = HeaderName::from_static("x-hearth-ignored-options");

/// Hints about fields of the request that were not understood and look like misspelt options.
pub const WARNING: HeaderName = HeaderName::from_static("x-hearth-warning");

/// Schema of the answer, as `name@version`.
pub const SCHEMA: HeaderName = HeaderName::from_static("x-hearth-schema");

/// Template of the prompt, as `name@version`.
pub const TEMPLATE: HeaderName = HeaderName::from_static("x-hearth-template");

/// All headers that describe a run.
pub const ALL: [HeaderName; 12] = [
    QUEUE_POSITION,
    MODEL,
    PROVIDER,
    PAYER,
    SELECTION_REASON,
    FALLBACK_REASON,
    COST,
    CACHE,
    IGNORED_OPTIONS,
    WARNING,
    SCHEMA,
    TEMPLATE,
];

/// Adds the headers that follow from a run's `events`: from all of them, or in a stream from those before its beginning.
#[must_use]
pub fn with_run<'a>(mut response: Response, events: impl IntoIterator<Item = &'a RunEvent>) -> Response {
    let (mut position, mut selected, mut cost, mut ended) = (None, None, None, false);
    for event in events {
        match &event.body {
            RunEventBody::Queued { position: place } if position.is_none() => position = Some(*place),
            RunEventBody::Selected(selection) => selected = Some(selection),
            RunEventBody::Cost { cost: run_cost } => cost = Some(*run_cost),
            body => ended |= body.is_terminal(),
        }
    }
    if let Some(position) = position {
        response.headers_mut().insert(QUEUE_POSITION, position.into());
    }
    if ended {
        // An unknown cost is never shown as zero.
        let value = cost.and_then(|cost| HeaderValue::from_str(&cost.to_string()).ok());
        response.headers_mut().insert(COST, value.unwrap_or(HeaderValue::from_static("unknown")));
    }
    match selected {
        Some(selected) => with_selection(response, selected),
        None => response,
    }
}

/// Adds the outcome of the cache, if the request could use it.
#[must_use]
pub fn with_cache(mut response: Response, outcome: Option<CacheOutcome>) -> Response {
    if let Some(outcome) = outcome {
        response.headers_mut().insert(CACHE, HeaderValue::from_static(outcome.as_str()));
    }
    response
}

/// Adds the schema and the template of the request, if there are any.
#[must_use]
pub fn with_definitions(mut response: Response, definitions: Option<&AppliedDefinitions>) -> Response {
    let of = |definition: &Option<AppliedDefinition>| {
        definition.as_ref().and_then(|definition| HeaderValue::from_str(&definition.to_string()).ok())
    };
    let values = definitions
        .map(|definitions| [(SCHEMA, of(&definitions.schema)), (TEMPLATE, of(&definitions.template))]);
    for (name, value) in values.into_iter().flatten() {
        if let Some(value) = value {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// Adds the hints about a request's unknown fields, if there are any.
#[must_use]
pub fn with_hints(mut response: Response, hints: &[String]) -> Response {
    if !hints.is_empty()
        && let Ok(value) = HeaderValue::from_str(&hints.join(" "))
    {
        response.headers_mut().insert(WARNING, value);
    }
    response
}

fn with_selection(mut response: Response, selected: &Selection) -> Response {
    let headers = [
        (MODEL, Some(selected.model.as_str())),
        (PROVIDER, Some(selected.provider.as_str())),
        (PAYER, selected.payer.map(Payer::as_str)),
        (SELECTION_REASON, Some(selected.reason.as_str())),
        (FALLBACK_REASON, selected.fallback_reason.as_deref()),
    ];
    for (name, text) in headers {
        // A text that no header can hold, such as one with a line break, is left out: the record has it.
        if let Some(value) = text.and_then(|text| HeaderValue::from_bytes(text.as_bytes()).ok()) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse as _;
    use hearth_domain::{Modality, ModelId};

    use super::*;

    fn selected(model: &str, reason: &str, fallback_reason: Option<&str>) -> RunEventBody {
        let first = Selection::new(ModelId::new(model), "p", Modality::Text, reason);
        RunEventBody::Selected(Selection {
            fallback_used: fallback_reason.is_some(),
            fallback_reason: fallback_reason.map(str::to_owned),
            ..first
        })
    }

    fn headers(bodies: Vec<RunEventBody>) -> Vec<(String, String)> {
        let events: Vec<_> = (1..).zip(bodies).map(|(seq, body)| RunEvent { seq, body }).collect();
        let response = with_run(().into_response(), &events);
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        response.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect()
    }

    #[test]
    fn cost_is_a_header_of_an_ended_run_and_unknown_is_not_zero() {
        let done = || RunEventBody::Done { finish_reason: hearth_domain::FinishReason::Stop };
        let cost = |text: &str| RunEventBody::Cost { cost: text.parse().unwrap() };
        let cost_header = |bodies: Vec<RunEventBody>| headers(bodies).pop().map(|(_, value)| value);
        assert_eq!(cost_header(vec![cost("0.0000015"), done()]).as_deref(), Some("0.0000015"));
        assert_eq!(cost_header(vec![cost("0"), done()]).as_deref(), Some("0"));
        assert_eq!(cost_header(vec![done()]).as_deref(), Some("unknown"));
    }

    #[test]
    fn headers_have_the_last_selection_and_the_first_queue_position() {
        let headers_of_run = headers(vec![
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
        assert_eq!(headers_of_run, pairs.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert!(headers(Vec::new()).is_empty());
        assert_eq!(headers(vec![selected("a", "two\nlines", None)]).len(), 2);
    }
}
