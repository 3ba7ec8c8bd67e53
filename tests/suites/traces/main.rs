//! Traces of `hearth up` and of a Lambda function, at a collector of the test's own.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod collectors;
mod home;
mod lambda;
mod vendors;

use hearth_tests::{Client, Collector, ReceivedSpan, Setup};
use serde_json::Value;

/// A client's trace, the span that it is in, and a vendor's entry.
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";
const STATE: &str = "vendor=opaque";

/// The settings file of a gateway that traces, with further lines of the table `traces`.
fn settings(collector: &Collector, more: &str) -> String {
    format!("[traces]\nendpoint = '{}'\n{more}\n", collector.url)
}

/// A `hearth up` that traces.
async fn traced(collector: &Collector) -> hearth_tests::Home {
    Setup::new().settings(&settings(collector, "")).start().await
}

/// Sends a request within the client's trace, and returns the answer.
async fn post_in_trace(client: &Client, path: &str, body: &Value, flags: &str) -> Value {
    let request = client.request(reqwest::Method::POST, path).json(body);
    let request = request.header("traceparent", format!("00-{TRACE}-{CALLER}-{flags}"));
    let answer = client.send(request.header("tracestate", STATE)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

/// The one span of this name in a trace.
fn one<'a>(spans: &'a [ReceivedSpan], name: &str) -> &'a ReceivedSpan {
    let matching: Vec<_> = spans.iter().filter(|span| span.name == name).collect();
    assert_eq!(matching.len(), 1, "{name}: {:?}", names(spans));
    matching[0]
}

fn names(spans: &[ReceivedSpan]) -> Vec<&str> {
    spans.iter().map(|span| span.name.as_str()).collect()
}

/// Checks the parents of spans, by names.
fn assert_parents(spans: &[ReceivedSpan], parents: &[(&str, &str)]) {
    for (child, parent) in parents {
        assert_eq!(
            one(spans, child).parent,
            one(spans, parent).id,
            "{child} in {parent}: {:?}",
            names(spans)
        );
    }
}
