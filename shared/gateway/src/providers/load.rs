//! Load of the providers' models: requests in progress, and the time to the first token. The strategies compare them.
//!
//! Both are those of this process.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use hearth_domain::{Delivery, Usage};
use hearth_wire::{ErrorCode, RunEventBody};

use super::model_metrics::{ModelMetrics, OperationMetrics};
use crate::stage::Stage;

/// Weight of the latest time in the mean: with 0.3 the last five or so make it.
const LATEST_WEIGHT: f64 = 0.3;

/// Above this number of models, those without a request are removed. Clients choose the names.
const MODEL_MAX_COUNT: usize = 1000;

/// The load of all providers' models. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct LoadTracker(Arc<Mutex<HashMap<ModelKey, Load>>>);

/// A provider's name and its name for a model.
type ModelKey = (String, String);

#[derive(Debug, Default)]
struct Load {
    in_progress: u32,
    first_token: Option<Duration>,
    metrics: Option<Arc<ModelMetrics>>,
}

impl LoadTracker {
    /// Counts a request until the guard is dropped. `make_metrics` makes the metrics of a model at its first request.
    pub(crate) fn begin(
        &self,
        provider: &str,
        model: &str,
        make_metrics: impl FnOnce() -> ModelMetrics,
    ) -> LoadGuard {
        let key = (provider.to_owned(), model.to_owned());
        let mut loads = self.loads();
        if loads.len() > MODEL_MAX_COUNT {
            loads.retain(|_, load| load.in_progress > 0);
        }
        let load = loads.entry(key.clone()).or_default();
        load.in_progress += 1;
        let metrics = Arc::clone(load.metrics.get_or_insert_with(|| Arc::new(make_metrics())));
        drop(loads);
        LoadGuard { tracker: self.clone(), key, metrics }
    }

    /// The number of requests in progress.
    pub(crate) fn in_progress(&self, provider: &str, model: &str) -> u32 {
        let key = (provider.to_owned(), model.to_owned());
        self.loads().get(&key).map_or(0, |load| load.in_progress)
    }

    /// The exponentially weighted moving average of the times to the first token; none before the first answer.
    pub(crate) fn first_token(&self, provider: &str, model: &str) -> Option<Duration> {
        let key = (provider.to_owned(), model.to_owned());
        self.loads().get(&key)?.first_token
    }

    /// Adds a time to the first token.
    pub(crate) fn record_first_token(&self, provider: &str, model: &str, took: Duration) {
        let mut loads = self.loads();
        let load = loads.entry((provider.to_owned(), model.to_owned())).or_default();
        let mean = |before: Duration| before.mul_f64(1.0 - LATEST_WEIGHT) + took.mul_f64(LATEST_WEIGHT);
        load.first_token = Some(load.first_token.map_or(took, mean));
    }

    fn loads(&self) -> MutexGuard<'_, HashMap<ModelKey, Load>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request in progress.
#[derive(Debug)]
pub(crate) struct LoadGuard {
    tracker: LoadTracker,
    key: ModelKey,
    metrics: Arc<ModelMetrics>,
}

impl LoadGuard {
    /// The metrics of the request's model.
    pub(crate) fn metrics(&self) -> Arc<ModelMetrics> {
        Arc::clone(&self.metrics)
    }
}

impl Drop for LoadGuard {
    fn drop(&mut self) {
        if let Some(load) = self.tracker.loads().get_mut(&self.key) {
            load.in_progress = load.in_progress.saturating_sub(1);
        }
    }
}

/// The times of one attempt at a model. Those within an answer are known of streamed ones only: the events of an answer in
/// one piece come together, at its end.
#[derive(Debug)]
pub(crate) struct AttemptTimes<'a> {
    load: &'a LoadGuard,
    metrics: &'a OperationMetrics,
    is_node: bool,
    delivery: Delivery,
    began: Instant,
    /// The time at which a node gave the run a slot.
    started: Option<Instant>,
    first_token: Option<Instant>,
    usage: Usage,
}

impl<'a> AttemptTimes<'a> {
    /// Begins an attempt, whose operation has these metrics.
    pub(crate) fn begin(
        load: &'a LoadGuard,
        metrics: &'a OperationMetrics,
        is_node: bool,
        delivery: Delivery,
    ) -> Self {
        let (began, started, first_token) = (Instant::now(), None, None);
        Self { load, metrics, is_node, delivery, began, started, first_token, usage: Usage::default() }
    }

    /// Observes an event of the attempt.
    pub(crate) fn observe(&mut self, event: &RunEventBody) {
        match event {
            RunEventBody::Started { .. } if self.is_node && self.started.is_none() => {
                let now = Instant::now();
                self.started = Some(now);
                if self.delivery == Delivery::Stream {
                    Stage::Queue.record(now - self.began);
                }
            }
            RunEventBody::Usage { usage } => self.usage = *usage,
            event if self.first_token.is_none() && event.commits_to_candidate() => {
                let (now, (provider, model)) = (Instant::now(), &self.load.key);
                self.first_token = Some(now);
                let took = now - self.began;
                self.load.tracker.record_first_token(provider, model, took);
                if self.delivery == Delivery::Stream {
                    self.metrics.first_token_seconds.record(took);
                    Stage::FirstByte.record(now - self.started.unwrap_or(self.began));
                }
            }
            _ => {}
        }
    }

    /// Records the attempt, which has ended well or with an error.
    pub(crate) fn end(self, error: Option<ErrorCode>) {
        let now = Instant::now();
        self.metrics.record_duration(now - self.began, error);
        if self.delivery == Delivery::Whole {
            return Stage::Answer.record(now - self.began);
        }
        let Some(first) = self.first_token else { return };
        Stage::Stream.record(now - first);
        // The time of the first token is a metric of its own.
        if let Some(tokens @ 1..) = self.usage.completion_tokens.checked_sub(1) {
            self.metrics.output_token_seconds.record((now - first) / tokens);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_until_their_end_and_times_are_averaged() {
        let load = LoadTracker::default();
        let begin = || load.begin("p", "m", || ModelMetrics::new("p", "m"));
        let (first, second) = (begin(), begin());
        assert_eq!((load.in_progress("p", "m"), load.in_progress("p", "other")), (2, 0));
        drop(first);
        assert_eq!(load.in_progress("p", "m"), 1);
        drop(second);
        assert_eq!((load.in_progress("p", "m"), load.first_token("p", "m")), (0, None));
        load.record_first_token("p", "m", Duration::from_millis(100));
        load.record_first_token("p", "m", Duration::from_millis(200));
        assert_eq!(load.first_token("p", "m"), Some(Duration::from_millis(130)));
    }
}
