//! The task that sends ended spans to the collector.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::trace::SpanExporter as _;

use super::queue::SpanQueue;

/// Least time between two log lines about failures.
const WARNING_INTERVAL: Duration = Duration::from_secs(60);

/// Sends batches of the queue, for ever. A batch that the collector doesn't accept is lost.
pub(super) async fn run(queue: Arc<SpanQueue>, exporter: SpanExporter) {
    let mut warned: Option<Instant> = None;
    loop {
        let batch = queue.next_batch().await;
        let count = batch.len();
        match exporter.export(batch).await {
            Ok(()) => queue.sent(count),
            Err(error) => {
                queue.lost(count);
                if warned.is_none_or(|at| at.elapsed() >= WARNING_INTERVAL) {
                    warned = Some(Instant::now());
                    tracing::warn!(%error, spans = count, "the collector doesn't accept traces; they are lost");
                }
            }
        }
    }
}
