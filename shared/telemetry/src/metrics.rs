//! Metrics in Prometheus' text format.

use std::{sync::OnceLock, thread, time::Duration};

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// Seconds: from a cache hit to a long generation.
const SECONDS: [f64; 14] =
    [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 300.0];

/// How often what was recorded is put in order.
const UPKEEP: Duration = Duration::from_secs(10);

static RECORDER: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

/// Begins to record; later calls change nothing.
pub fn install() {
    RECORDER.get_or_init(|| {
        let builder = PrometheusBuilder::new();
        let builder = builder.set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS);
        let handle = builder.and_then(PrometheusBuilder::install_recorder).ok()?;
        let upkeep = handle.clone();
        // What histograms are told is kept until it is put into their buckets; nobody may ever ask for them.
        let kept = thread::Builder::new().name("metrics".to_owned()).spawn(move || {
            loop {
                thread::park_timeout(UPKEEP);
                upkeep.run_upkeep();
            }
        });
        kept.is_ok().then_some(handle)
    });
}

/// Everything recorded so far; empty before [`install`].
#[must_use]
pub fn render() -> String {
    RECORDER.get().and_then(Option::as_ref).map(PrometheusHandle::render).unwrap_or_default()
}
