//! Settings of traces: the collector, the sampler, and the content of spans.

use std::time::Duration;

use hearth_domain::Secret;
use serde::{Deserialize, Serialize};

use crate::{
    bounds::{InvalidSetting, check_ranges},
    shown,
};

/// The table `traces` of the settings. Where a setting is absent, OpenTelemetry's own variable stands in:
/// `OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_SERVICE_NAME`, `OTEL_TRACES_SAMPLER` and
/// `OTEL_TRACES_SAMPLER_ARG`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TraceSettings {
    /// Address of the collector, to which `/v1/traces` is appended; absent: no traces.
    pub endpoint: Option<String>,
    /// Headers of requests to the collector, as `name=value,name=value`, with percent encoding in values.
    #[serde(serialize_with = "shown::hidden")]
    pub headers: Option<Secret>,
    /// Name of this service in traces.
    pub service_name: String,
    /// Name of this process in traces; absent: a random one.
    pub service_instance: Option<String>,
    /// The choice of the traces to record.
    pub sampler: Sampler,
    /// Share of the traces that a ratio sampler records.
    pub sample_ratio: f64,
    /// The headers by which traces are continued.
    pub propagation: Propagation,
    /// Send the trace's headers to vendors too.
    pub propagate_to_vendors: bool,
    /// Record prompts and outputs.
    pub capture_content: bool,
    /// Milliseconds for which a Lambda function waits for its spans to be delivered, and `hearth up` at its end.
    pub flush_milliseconds: u64,
}

/// The choice of the traces to record, by OpenTelemetry's names. A parent-based sampler follows the caller's choice, if
/// the request has one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sampler {
    /// All.
    AlwaysOn,
    /// None.
    AlwaysOff,
    /// A share.
    #[serde(rename = "traceidratio")]
    Ratio,
    /// Traces that the caller records, and all without a caller's choice.
    #[serde(rename = "parentbased_always_on")]
    ParentAlwaysOn,
    /// Traces that the caller records.
    #[serde(rename = "parentbased_always_off")]
    ParentAlwaysOff,
    /// Traces that the caller records, and a share of those without a caller's choice.
    #[default]
    #[serde(rename = "parentbased_traceidratio")]
    ParentRatio,
}

/// The headers by which traces are continued.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Propagation {
    /// W3C's `traceparent` and `tracestate`.
    #[default]
    W3c,
    /// `X-Amzn-Trace-Id` of AWS X-Ray first, then W3C's. Both are sent.
    Xray,
}

impl Default for TraceSettings {
    fn default() -> Self {
        Self {
            endpoint: None,
            headers: None,
            service_name: "hearth".to_owned(),
            service_instance: None,
            sampler: Sampler::default(),
            sample_ratio: 1.0,
            propagation: Propagation::default(),
            propagate_to_vendors: false,
            capture_content: false,
            flush_milliseconds: 500,
        }
    }
}

impl TraceSettings {
    /// Time for which a process waits for its spans to be delivered.
    #[must_use]
    pub fn flush_timeout(&self) -> Duration {
        Duration::from_millis(self.flush_milliseconds)
    }

    pub(crate) fn validate(&self) -> Result<(), InvalidSetting> {
        if let Some(endpoint) = &self.endpoint
            && !endpoint.starts_with("http://")
            && !endpoint.starts_with("https://")
        {
            let message =
                "traces.endpoint must begin with http:// or https://, such as http://localhost:4318";
            return Err(InvalidSetting::new(message));
        }
        if self.service_name.trim().is_empty() {
            return Err(InvalidSetting::new("traces.service_name must not be empty"));
        }
        if !(0.0..=1.0).contains(&self.sample_ratio) {
            let message = format!("traces.sample_ratio must be 0 to 1, and is {}", self.sample_ratio);
            return Err(InvalidSetting::new(message));
        }
        check_ranges("traces.", [("flush_milliseconds", Some(self.flush_milliseconds), 0..=10_000)])
    }
}
