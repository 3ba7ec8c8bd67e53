//! How much each provider's model has to do, and how soon it answers: what the strategies look at.
//!
//! It is what this process sees.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// How much the last answer counts in the mean: with 0.3 some five answers make it.
const NEWEST: f64 = 0.3;

/// Beyond this many models those at rest are forgotten.
const MANY: usize = 1000;

/// Everybody's load. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Load(Arc<Mutex<HashMap<Key, Record>>>);

/// A provider's model.
type Key = (String, String);

#[derive(Debug, Clone, Copy, Default)]
struct Record {
    running: u32,
    first_token: Option<Duration>,
}

impl Load {
    /// Notes a call; it ends when what this gives is dropped.
    pub(crate) fn enter(&self, provider: &str, model: &str) -> Call {
        let key = (provider.to_owned(), model.to_owned());
        let mut records = self.records();
        if records.len() > MANY {
            // Clients choose the names.
            records.retain(|_, record| record.running > 0);
        }
        records.entry(key.clone()).or_default().running += 1;
        drop(records);
        Call { load: self.clone(), key, began: Instant::now(), answered: false }
    }

    /// The calls that are under way.
    pub(crate) fn running(&self, provider: &str, model: &str) -> u32 {
        self.record(provider, model).running
    }

    /// The mean time to the first piece of an answer, the latest counting most (an exponentially weighted
    /// moving average); none before the first answer.
    pub(crate) fn first_token(&self, provider: &str, model: &str) -> Option<Duration> {
        self.record(provider, model).first_token
    }

    fn record(&self, provider: &str, model: &str) -> Record {
        let key = (provider.to_owned(), model.to_owned());
        self.records().get(&key).copied().unwrap_or_default()
    }

    /// Notes how long a first piece took.
    pub(crate) fn note_first_token(&self, provider: &str, model: &str, took: Duration) {
        let mut records = self.records();
        let record = records.entry((provider.to_owned(), model.to_owned())).or_default();
        let mean = |before: Duration| before.mul_f64(1.0 - NEWEST) + took.mul_f64(NEWEST);
        record.first_token = Some(record.first_token.map_or(took, mean));
    }

    fn records(&self) -> MutexGuard<'_, HashMap<Key, Record>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call that is under way.
#[derive(Debug)]
pub(crate) struct Call {
    load: Load,
    key: Key,
    began: Instant,
    answered: bool,
}

impl Call {
    /// Notes a piece of the answer; the first one counts.
    pub(crate) fn answered(&mut self) {
        if !std::mem::replace(&mut self.answered, true) {
            let took = self.began.elapsed();
            let (provider, model) = &self.key;
            self.load.note_first_token(provider, model, took);
            metrics::histogram!("hearth_provider_first_token_seconds", "provider" => provider.clone())
                .record(took);
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if let Some(record) = self.load.records().get_mut(&self.key) {
            record.running = record.running.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_while_they_last_and_the_latest_time_counts_most() {
        let load = Load::default();
        let (first, second) = (load.enter("p", "m"), load.enter("p", "m"));
        assert_eq!((load.running("p", "m"), load.running("p", "other")), (2, 0));
        drop(first);
        assert_eq!(load.running("p", "m"), 1);
        drop(second);
        assert_eq!((load.running("p", "m"), load.first_token("p", "m")), (0, None));
        load.note_first_token("p", "m", Duration::from_millis(100));
        load.note_first_token("p", "m", Duration::from_millis(200));
        assert_eq!(load.first_token("p", "m"), Some(Duration::from_millis(130)));
    }
}
