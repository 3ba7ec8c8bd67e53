//! Log lines of a Lambda function. Those of requests and of runs are metrics too, in CloudWatch's embedded metric format: a
//! line costs nothing more for it, where a call of CloudWatch would cost a request and its time.
//!
//! The format: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>

use std::{
    fmt,
    io::Write,
    time::{Duration, SystemTime},
};

use serde_json::{Value, json};
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{Layer, layer::Context};

use crate::{json_lines, logs::is_own};

/// Namespace of the metrics.
const NAMESPACE: &str = "Hearth";

/// The function whose metrics they are. Each pair of names is a dimension, and each dimension costs money:
/// `docs/metrics.md` has the sum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionName {
    /// The function's name, which the stack makes unique.
    pub function: String,
    /// The published version that runs, which a canary is watched by.
    pub version: String,
}

/// The metrics of a kind of line, for each set of dimensions.
type Directive = (&'static [&'static str], &'static [(&'static str, &'static str)]);

/// Metrics of a request: names and units.
const REQUEST: &[Directive] = &[
    (&["function"], &[("server_error", "None"), ("latency_ms", "Milliseconds")]),
    (&["function", "version"], &[("server_error", "None")]),
];

/// Metrics of a run.
const RUN: &[Directive] = &[
    (
        &["function"],
        &[
            ("failed", "None"),
            ("cached", "None"),
            ("first_token_ms", "Milliseconds"),
            ("input_tokens", "Count"),
            ("output_tokens", "Count"),
            ("cost_dollars", "None"),
        ],
    ),
    (&["function", "provider"], &[("failed", "None"), ("first_token_ms", "Milliseconds")]),
];

/// True for the lines of requests and runs, which are metrics. Alarms and a canary's watch need them at every log level.
pub(crate) fn has_metrics(metadata: &Metadata<'_>) -> bool {
    is_own(metadata.target()) && directives(metadata.name()).is_some()
}

/// The metrics of a kind of line, if it has some.
fn directives(event: &str) -> Option<&'static [Directive]> {
    match event {
        "request" => Some(REQUEST),
        "run" => Some(RUN),
        _ => None,
    }
}

/// A layer that writes events as JSON lines, with the metrics of those that have some.
#[derive(Debug)]
pub(crate) struct FunctionLines<W> {
    /// None if nobody reads the metrics.
    pub(crate) function: Option<FunctionName>,
    /// Makes the writer of a line.
    pub(crate) output: fn() -> W,
}

impl<S: Subscriber, W: Write + 'static> Layer<S> for FunctionLines<W> {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let line = self.line(event, SystemTime::now());
        // In one write, so that lines of several threads don't mix.
        let _ = (self.output)().write_all(&line);
    }
}

impl<W> FunctionLines<W> {
    fn line(&self, event: &Event<'_>, now: SystemTime) -> Vec<u8> {
        let mut line = Vec::with_capacity(1024);
        json_lines::write(&mut line, event, now);
        let Some(directives) = directives(event.metadata().name()) else { return line };
        let Some(function) = &self.function else { return line };
        let mut present = Present::default();
        event.record(&mut present);
        // The end of the object and the line break come after the metrics.
        line.truncate(line.len().saturating_sub(b"}\n".len()));
        let mut add = |name: &str, value: Value| {
            let _ = write!(line, ",\"{name}\":{value}");
        };
        add("function", function.function.as_str().into());
        add("version", function.version.as_str().into());
        present.names.extend(["function", "version"]);
        add("_aws", metadata(directives, &present.names, now));
        line.extend_from_slice(b"}\n");
        line
    }
}

/// The object that names the metrics among the line's fields.
fn metadata(directives: &[Directive], present: &[&str], now: SystemTime) -> Value {
    let directives =
        directives.iter().filter(|(dimensions, _)| dimensions.iter().all(|one| present.contains(one)));
    let directives = directives.map(|(dimensions, metrics)| {
        let metrics = metrics.iter().filter(|(name, _)| present.contains(name));
        let metrics: Vec<_> = metrics.map(|(name, unit)| json!({"Name": name, "Unit": unit})).collect();
        json!({"Namespace": NAMESPACE, "Dimensions": [dimensions], "Metrics": metrics})
    });
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let millis = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
    json!({"Timestamp": millis, "CloudWatchMetrics": directives.collect::<Vec<_>>()})
}

/// The names of an event's fields, which a metric or a dimension may refer to.
#[derive(Debug, Default)]
struct Present {
    names: Vec<&'static str>,
}

impl Visit for Present {
    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no other numbers.
        if value.is_finite() {
            self.names.push(field.name());
        }
    }

    fn record_u64(&mut self, field: &Field, _: u64) {
        self.names.push(field.name());
    }

    fn record_str(&mut self, field: &Field, _: &str) {
        self.names.push(field.name());
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}

#[cfg(test)]
mod tests;
