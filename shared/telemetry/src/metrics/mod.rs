//! Metrics in Prometheus' text format.

mod descriptions;
mod process;

use std::{sync::OnceLock, thread, time::Duration};

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

/// Upper bounds of the buckets for durations, in seconds: from a cache hit to a long generation.
const DURATION_BUCKETS: [f64; 15] =
    [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0];

/// Upper bounds of the buckets of the metrics that OpenTelemetry's conventions for generative AI define. All but those
/// of an operation's duration, which go on to ten minutes here, are the conventions' own.
const GEN_AI_BUCKETS: [(&str, &[f64]); 4] = [
    (
        "gen_ai_client_operation_duration_seconds",
        &[
            0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92, 300.0,
            600.0,
        ],
    ),
    (
        "gen_ai_client_token_usage",
        &[
            1.0,
            4.0,
            16.0,
            64.0,
            256.0,
            1024.0,
            4096.0,
            16384.0,
            65536.0,
            262_144.0,
            1_048_576.0,
            4_194_304.0,
            16_777_216.0,
            67_108_864.0,
        ],
    ),
    (
        "gen_ai_server_time_to_first_token_seconds",
        &[0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0],
    ),
    (
        "gen_ai_server_time_per_output_token_seconds",
        &[0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5],
    ),
];

/// Upper bounds of the buckets for rates of tokens, per second.
const TOKEN_RATE_BUCKETS: [f64; 12] =
    [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 5000.0, 20000.0];

/// Upper bounds of the buckets for confidences.
const CONFIDENCE_BUCKETS: [f64; 10] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0];

/// Time between two runs of the exporter's upkeep.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(10);

static RECORDER: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

/// Starts recording. Later calls do nothing.
pub fn install() {
    RECORDER.get_or_init(|| {
        let handle = builder().and_then(PrometheusBuilder::install_recorder).ok()?;
        descriptions::describe();
        process::start();
        let upkeep = handle.clone();
        // The exporter stores each value of a histogram until upkeep, or a scrape, puts it into a bucket.
        let spawned = thread::Builder::new().name("metrics".to_owned()).spawn(move || {
            loop {
                thread::park_timeout(UPKEEP_INTERVAL);
                upkeep.run_upkeep();
            }
        });
        spawned.is_ok().then_some(handle)
    });
}

/// Everything recorded so far; empty before [`install`].
#[must_use]
pub fn render() -> String {
    let Some(handle) = RECORDER.get().and_then(Option::as_ref) else { return String::new() };
    process::update();
    handle.render()
}

fn builder() -> Result<PrometheusBuilder, BuildError> {
    let mut builder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &DURATION_BUCKETS)?
        .set_buckets_for_metric(Matcher::Suffix("_tokens_per_second".to_owned()), &TOKEN_RATE_BUCKETS)?
        .set_buckets_for_metric(Matcher::Suffix("_confidence".to_owned()), &CONFIDENCE_BUCKETS)?;
    for (name, buckets) in GEN_AI_BUCKETS {
        builder = builder.set_buckets_for_metric(Matcher::Full(name.to_owned()), buckets)?;
    }
    Ok(builder)
}

#[cfg(test)]
mod tests;
