//! Metrics in Prometheus' text format.

use std::{sync::OnceLock, thread, time::Duration};

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// Upper bounds of the buckets for durations, in seconds: from a cache hit to a long generation.
const DURATION_BUCKETS: [f64; 14] =
    [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 300.0];

/// Time between two runs of the exporter's upkeep.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(10);

static RECORDER: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

/// Starts recording. Later calls do nothing.
pub fn install() {
    RECORDER.get_or_init(|| {
        let builder = PrometheusBuilder::new();
        let builder =
            builder.set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &DURATION_BUCKETS);
        let handle = builder.and_then(PrometheusBuilder::install_recorder).ok()?;
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
    RECORDER.get().and_then(Option::as_ref).map(PrometheusHandle::render).unwrap_or_default()
}
