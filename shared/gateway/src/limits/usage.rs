//! Adds the usage of runs to its sums. A process whose store is its own adds once a second, since sums change with every run.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hearth_domain::{Cost, Period, Selection, Timestamp, Usage};
use hearth_store::{
    Store,
    usage::{UsageCounts, UsageKey, UsageRow},
};

use crate::{
    access::Caller,
    background::{self, Background},
};

/// Time for which usage is collected before it is written.
const FLUSH_INTERVAL: Duration = Duration::from_secs(1);
/// Interval between a failed write and the next.
const RETRY_INTERVAL: Duration = Duration::from_secs(5);

/// Adds to the sums of usage.
#[derive(Debug)]
pub(super) struct UsageRecorder {
    store: Store,
    background: Background,
    pending: Mutex<Pending>,
    /// Held while the collected usage is written.
    writing: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Pending {
    sums: HashMap<UsageKey, UsageCounts>,
    /// A task writes them soon.
    is_scheduled: bool,
}

impl UsageRecorder {
    pub(super) fn new(store: Store, background: Background) -> Self {
        Self { store, background, pending: Mutex::default(), writing: tokio::sync::Mutex::default() }
    }

    /// Adds to a sum. In a process that is frozen after its response, it is written when this returns.
    pub(super) async fn add(self: &Arc<Self>, row: UsageRow) {
        if !self.background.outlives_response() {
            // Not repeated: if the answer of a write was lost, it would count twice.
            if let Err(error) = self.store.usage().add(&[row]).await {
                lost(&error, 1);
            }
            return;
        }
        let schedules = {
            let mut pending = self.pending();
            pending.sums.entry(row.key).or_default().add(&row.counts);
            !std::mem::replace(&mut pending.is_scheduled, true)
        };
        if schedules {
            let recorder = Arc::clone(self);
            drop(background::spawn(async move { recorder.write_soon().await }));
        }
    }

    async fn write_soon(self: Arc<Self>) {
        let mut wait = FLUSH_INTERVAL;
        loop {
            tokio::time::sleep(wait).await;
            if self.flush().await {
                return;
            }
            wait = RETRY_INTERVAL;
        }
    }

    /// Writes the usage that is collected; returns whether that succeeded.
    pub(super) async fn flush(&self) -> bool {
        let _writing = self.writing.lock().await;
        let sums = {
            let mut pending = self.pending();
            pending.is_scheduled = false;
            std::mem::take(&mut pending.sums)
        };
        if sums.is_empty() {
            return true;
        }
        let rows: Vec<_> = sums.into_iter().map(|(key, counts)| UsageRow { key, counts }).collect();
        let Err(error) = self.store.usage().add(&rows).await else { return true };
        tracing::warn!(%error, "the usage of runs can't be stored yet");
        let mut pending = self.pending();
        for row in rows {
            pending.sums.entry(row.key).or_default().add(&row.counts);
        }
        // The caller goes on to write, or the next run has them written.
        pending.is_scheduled = true;
        false
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lost(error: &hearth_store::StoreError, runs: u64) {
    metrics::counter!("hearth_usage_lost_total").increment(runs);
    tracing::error!(%error, "the usage of a run isn't counted");
}

/// The sums that a run of `caller` at `selection` adds to, at the time of its beginning.
pub(super) fn key(caller: &Caller, selection: &Selection, at: Timestamp) -> UsageKey {
    UsageKey {
        organisation: caller.organisation,
        day: Period::Day.name_at(at),
        user: caller.user,
        credential: caller.credential_id(),
        team: caller.teams.iter().min().map(ToString::to_string).unwrap_or_default(),
        provider: selection.provider.clone(),
        model: selection.model.to_string(),
    }
}

/// The usage of one run.
pub(super) fn counts(usage: &Usage, cost: Option<Cost>, is_local: bool) -> UsageCounts {
    UsageCounts {
        requests: 1,
        cache_hits: 0,
        prompt_tokens: usage.prompt_tokens.into(),
        cached_tokens: usage.cached_tokens.into(),
        cache_write_tokens: usage.cache_write_tokens.into(),
        completion_tokens: usage.completion_tokens.into(),
        reasoning_tokens: usage.reasoning_tokens.into(),
        nanodollars: cost.map_or(0, |cost| i64::try_from(cost.nanodollars()).unwrap_or(i64::MAX)),
        unpriced_requests: i64::from(cost.is_none() && !is_local),
    }
}

/// The usage of a request that a cached answer serves.
pub(super) fn row_of_hit(caller: &Caller, selection: &Selection, at: Timestamp) -> UsageRow {
    let counts = UsageCounts { requests: 1, cache_hits: 1, ..UsageCounts::default() };
    UsageRow { key: key(caller, selection, at), counts }
}
