//! The ended spans that aren't sent yet, within a limit.

use std::{
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use opentelemetry::{Array, KeyValue, Value, trace::Event};
use opentelemetry_sdk::trace::SpanData;
use tokio::sync::{Notify, watch};

/// Limit of the spans that wait; further ones are dropped.
const QUEUE_MAX_COUNT: usize = 4096;
/// Limit of their estimated size: clients choose some of the texts, and captured content may be long.
const QUEUE_MAX_BYTES: usize = 16 << 20;
/// Limit of the spans that are sent together.
pub(super) const BATCH_MAX_COUNT: usize = 512;
/// Time for which a span waits for others.
const BATCH_INTERVAL: Duration = Duration::from_secs(1);

/// The queue of ended spans.
#[derive(Debug)]
pub(super) struct SpanQueue {
    state: Mutex<State>,
    /// Wakes the exporter: there is a span, a batch is full, or a flush waits.
    ready: Notify,
    /// Number of spans that are sent or lost.
    settled: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    spans: Vec<SpanData>,
    /// Estimated size of the spans.
    bytes: usize,
    /// Number of spans that were queued.
    queued: u64,
    /// A flush waits.
    hurry: bool,
}

impl Default for SpanQueue {
    fn default() -> Self {
        Self { state: Mutex::default(), ready: Notify::new(), settled: watch::Sender::new(0) }
    }
}

impl SpanQueue {
    /// Adds a span. If the queue is full, the span is lost.
    pub(super) fn push(&self, span: SpanData) {
        let size = size_of_span(&span);
        let mut state = self.state();
        let waiting = state.spans.len();
        if waiting >= QUEUE_MAX_COUNT || state.bytes + size > QUEUE_MAX_BYTES {
            drop(state);
            return count_dropped("queue_full", 1);
        }
        state.spans.push(span);
        state.bytes += size;
        state.queued += 1;
        drop(state);
        if waiting == 0 || waiting + 1 == BATCH_MAX_COUNT {
            self.ready.notify_one();
        }
    }

    /// Waits for a batch: until it is full, a second after its first span, or at once for a flush.
    pub(super) async fn next_batch(&self) -> Vec<SpanData> {
        loop {
            let woken = self.ready.notified();
            if !self.state().spans.is_empty() {
                break;
            }
            woken.await;
        }
        let deadline = tokio::time::Instant::now() + BATCH_INTERVAL;
        loop {
            let woken = self.ready.notified();
            {
                let state = self.state();
                if state.hurry || state.spans.len() >= BATCH_MAX_COUNT {
                    break;
                }
            }
            if tokio::time::timeout_at(deadline, woken).await.is_err() {
                break;
            }
        }
        self.take()
    }

    fn take(&self) -> Vec<SpanData> {
        let mut state = self.state();
        let rest = if state.spans.len() > BATCH_MAX_COUNT {
            state.spans.split_off(BATCH_MAX_COUNT)
        } else {
            Vec::new()
        };
        state.hurry &= !rest.is_empty();
        let batch = mem::replace(&mut state.spans, rest);
        state.bytes -= batch.iter().map(size_of_span).sum::<usize>();
        batch
    }

    /// Records that `count` spans are sent.
    pub(super) fn sent(&self, count: usize) {
        self.settled.send_modify(|settled| *settled += count as u64);
    }

    /// Records that `count` spans are lost.
    pub(super) fn lost(&self, count: usize) {
        count_dropped("export_failed", count as u64);
        self.sent(count);
    }

    /// Waits until all spans that are in the queue now are sent or lost.
    pub(super) async fn drained(&self) {
        let queued = {
            let mut state = self.state();
            state.hurry = !state.spans.is_empty();
            state.queued
        };
        self.ready.notify_one();
        // The sender lives as long as the queue.
        let _ = self.settled.subscribe().wait_for(|settled| *settled >= queued).await;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Estimated size of a span in memory: its structures, and the texts whose length a client or a model chooses.
fn size_of_span(span: &SpanData) -> usize {
    let of_attributes = |attributes: &[KeyValue]| attributes.iter().map(size_of_attribute).sum::<usize>();
    let events = span.events.events.iter();
    let of_events = events.map(|event| size_of::<Event>() + of_attributes(&event.attributes)).sum::<usize>();
    let state = span.span_context.trace_state().header().len();
    size_of::<SpanData>() + span.name.len() + state + of_attributes(&span.attributes) + of_events
}

fn size_of_attribute(attribute: &KeyValue) -> usize {
    let text = match &attribute.value {
        Value::String(text) => text.as_str().len(),
        Value::Array(Array::String(texts)) => {
            texts.iter().map(|text| size_of_val(text) + text.as_str().len()).sum()
        }
        _ => 0,
    };
    size_of::<KeyValue>() + text
}

fn count_dropped(reason: &'static str, count: u64) {
    metrics::counter!("hearth_trace_spans_dropped_total", "reason" => reason).increment(count);
}

#[cfg(test)]
mod tests {
    use std::{borrow::Cow, sync::Arc, time::SystemTime};

    use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status};
    use opentelemetry_sdk::trace::{SpanEvents, SpanLinks};

    use super::*;

    fn span() -> SpanData {
        SpanData {
            span_context: SpanContext::empty_context(),
            parent_span_id: SpanId::INVALID,
            parent_span_is_remote: false,
            span_kind: SpanKind::Internal,
            name: Cow::Borrowed("span"),
            start_time: SystemTime::now(),
            end_time: SystemTime::now(),
            attributes: Vec::new(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::Unset,
            instrumentation_scope: opentelemetry::InstrumentationScope::default(),
        }
    }

    #[tokio::test]
    async fn full_queue_drops_further_spans() {
        let queue = SpanQueue::default();
        for _ in 0..QUEUE_MAX_COUNT + 10 {
            queue.push(span());
        }
        let mut batches = Vec::new();
        while batches.iter().sum::<usize>() < QUEUE_MAX_COUNT {
            batches.push(queue.next_batch().await.len());
        }
        assert!(batches.iter().all(|batch| *batch == BATCH_MAX_COUNT), "{batches:?}");
        assert!(queue.state().spans.is_empty());
    }

    #[tokio::test]
    async fn queue_of_large_spans_is_full_before_its_count() {
        let queue = SpanQueue::default();
        let large = || SpanData { attributes: vec![KeyValue::new("content", "x".repeat(1 << 20))], ..span() };
        for _ in 0..100 {
            queue.push(large());
        }
        assert_eq!(queue.state().spans.len(), 15);
        assert_eq!(queue.next_batch().await.len(), 15);
        assert_eq!(queue.state().bytes, 0);
        queue.push(large());
        assert_eq!(queue.state().spans.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn batch_waits_for_more_spans_unless_a_flush_waits() {
        let queue = Arc::new(SpanQueue::default());
        let began = tokio::time::Instant::now();
        queue.push(span());
        assert_eq!(queue.next_batch().await.len(), 1);
        assert_eq!(began.elapsed(), BATCH_INTERVAL);
        queue.sent(1);
        queue.push(span());
        queue.push(span());
        let exporter = Arc::clone(&queue);
        let export = tokio::spawn(async move {
            let batch = exporter.next_batch().await.len();
            exporter.lost(batch);
            batch
        });
        queue.drained().await;
        assert_eq!((export.await.unwrap(), began.elapsed()), (2, BATCH_INTERVAL));
    }
}
