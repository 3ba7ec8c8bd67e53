//! Load of the providers' models: requests in progress, and the time to the first token. The strategies compare them.
//!
//! Both are those of this process.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::model_metrics::ModelMetrics;

/// Weight of the latest time in the mean: with 0.3 the last five or so make it.
const LATEST_WEIGHT: f64 = 0.3;

/// Above this number of models, those without a request are removed. Clients choose the names.
const MODEL_MAX_COUNT: usize = 1000;

/// The load of all providers' models. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct LoadTracker(Arc<Mutex<HashMap<ModelKey, Load>>>);

/// An account at a provider and its name for a model.
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
        account: &str,
        model: &str,
        make_metrics: impl FnOnce() -> ModelMetrics,
    ) -> LoadGuard {
        let key = (account.to_owned(), model.to_owned());
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

    /// Adds the time to the request's first token.
    pub(crate) fn record_first_token(&self, took: Duration) {
        let (provider, model) = &self.key;
        self.tracker.record_first_token(provider, model, took);
    }
}

impl Drop for LoadGuard {
    fn drop(&mut self) {
        if let Some(load) = self.tracker.loads().get_mut(&self.key) {
            load.in_progress = load.in_progress.saturating_sub(1);
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
