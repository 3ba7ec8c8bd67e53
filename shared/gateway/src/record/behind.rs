//! Runs whose records are behind what is known of them here.
//!
//! No answer waits for its record. So whoever looks for a run waits a little, where its record is not yet what
//! its client may have been told.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hearth_domain::RunId;
use tokio::sync::{Notify, watch};

/// How long whoever looks for a run may wait for it to be stored; where a process is frozen after an
/// answer, the answer's beginning waits so long.
pub(crate) const CREATE: Duration = Duration::from_millis(250);
/// How long whoever looks for a run that has ended may wait for its end to be recorded; where a process is
/// frozen after an answer, the answer's end waits so long.
pub(crate) const RECORD: Duration = Duration::from_secs(5);

/// How far a run's record is.
#[derive(Debug, Clone, Copy, Default)]
struct Stage {
    /// It can be found in the store.
    created: bool,
    /// The client has been told the run's end.
    told: bool,
    /// Nothing more is written.
    done: bool,
}

/// The runs that are being recorded.
#[derive(Debug, Clone, Default)]
pub(crate) struct Behind(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    runs: Mutex<HashMap<RunId, Arc<watch::Sender<Stage>>>>,
    /// Somebody waits.
    waited_for: Notify,
}

impl Behind {
    /// Notes a run that is about to be recorded.
    pub(super) fn enter(&self, id: RunId) -> Progress {
        let stage = Arc::new(watch::Sender::new(Stage::default()));
        self.runs().insert(id, Arc::clone(&stage));
        Progress { behind: self.clone(), id, stage }
    }

    /// How many runs are being recorded.
    pub(crate) fn len(&self) -> usize {
        self.runs().len()
    }

    /// Notes that a run's client has been told its end.
    pub(crate) fn told(&self, id: RunId) {
        if let Some(stage) = self.runs().get(&id) {
            stage.send_modify(|stage| stage.told = true);
        }
    }

    /// Waits for a run's record to be there, a little.
    pub(crate) async fn created(&self, id: RunId) {
        self.until(id, CREATE, |stage| stage.created).await;
    }

    /// Waits for a run's record to say what its client may know, a little.
    pub(crate) async fn wait(&self, id: RunId) {
        let told = self.runs().get(&id).is_some_and(|stage| stage.borrow().told);
        match told {
            true => self.until(id, RECORD, |stage| stage.done).await,
            false => self.created(id).await,
        }
    }

    /// Waits for all that is to be recorded, at most so long; whether nothing is left.
    pub(crate) async fn settle(&self, patience: Duration) -> bool {
        let all = async {
            loop {
                let next = self.runs().keys().next().copied();
                let Some(id) = next else { return };
                self.until(id, patience, |stage| stage.done).await;
            }
        };
        tokio::time::timeout(patience, all).await.is_ok()
    }

    /// Waits until somebody waits for a run, or has begun to since this was called last.
    pub(super) async fn is_waited_for(&self) {
        self.0.waited_for.notified().await;
    }

    async fn until(&self, id: RunId, patience: Duration, reached: impl Fn(&Stage) -> bool) {
        let stage = self.runs().get(&id).map(|stage| stage.subscribe());
        if let Some(mut stage) = stage {
            self.0.waited_for.notify_one();
            let _ = tokio::time::timeout(patience, stage.wait_for(reached)).await;
        }
    }

    fn runs(&self) -> MutexGuard<'_, HashMap<RunId, Arc<watch::Sender<Stage>>>> {
        self.0.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where a run's recorder tells how far it is. Dropping it says that nothing more is written.
#[derive(Debug)]
pub(super) struct Progress {
    behind: Behind,
    id: RunId,
    stage: Arc<watch::Sender<Stage>>,
}

impl Progress {
    /// The run can be found in the store, or its recorder has tried.
    pub(super) fn created(&self) {
        self.stage.send_modify(|stage| stage.created = true);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        // Before those who wait go on: the next one finds nothing to wait for.
        self.behind.runs().remove(&self.id);
        self.stage.send_modify(|stage| (stage.created, stage.done) = (true, true));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_looks_for_a_run_waits_for_what_its_client_knows() {
        let (behind, id) = (Behind::default(), RunId::new());
        behind.wait(id).await;
        let progress = behind.enter(id);
        progress.created();
        // Its end isn't told yet: the record is good enough.
        behind.wait(id).await;
        behind.told(id);
        let waits = tokio::spawn({
            let behind = behind.clone();
            async move { behind.wait(id).await }
        });
        tokio::task::yield_now().await;
        assert!(!waits.is_finished());
        assert!(!behind.settle(Duration::from_millis(20)).await);
        drop(progress);
        waits.await.unwrap();
        assert!(behind.settle(Duration::from_secs(1)).await);
        assert_eq!(behind.len(), 0);
    }
}
