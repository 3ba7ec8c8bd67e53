//! Paused kinds of jobs, read from the table again after seconds.

use std::{collections::HashSet, sync::Arc, time::Duration};

use hearth_domain::{JobKind, OrganisationId, Owner};
use hearth_store::{Store, StoreError};
use hearth_wire::native::jobs::JobPauseScope;

use crate::timed_cache::TimedCache;

/// Age of the list at which it is read again: a pause by another process has effect after this time.
const PAUSES_TTL: Duration = Duration::from_secs(5);

/// The kinds that are paused, and for which organisation; none for all.
#[derive(Debug, Clone, Default)]
pub(super) struct PausedKinds(Arc<HashSet<(Option<OrganisationId>, JobKind)>>);

impl PausedKinds {
    /// True if a pause holds an owner's jobs of a kind.
    pub(super) fn is_held(&self, owner: Owner, kind: JobKind) -> bool {
        self.holder(owner, kind).is_some()
    }

    /// The scope of the pause that holds an owner's jobs of a kind.
    pub(super) fn holder(&self, owner: Owner, kind: JobKind) -> Option<JobPauseScope> {
        if self.0.contains(&(None, kind)) {
            Some(JobPauseScope::Gateway)
        } else {
            let is_held = self.0.contains(&(Some(owner.organisation), kind));
            is_held.then_some(JobPauseScope::Organisation)
        }
    }
}

/// The paused kinds, cached.
#[derive(Debug)]
pub(super) struct Pauses {
    store: Store,
    cache: TimedCache<(), PausedKinds>,
}

impl Pauses {
    pub(super) fn new(store: Store) -> Self {
        Self { store, cache: TimedCache::new(PAUSES_TTL, 1) }
    }

    /// The paused kinds.
    ///
    /// # Errors
    /// If the table can't be read.
    pub(super) async fn current(&self) -> Result<PausedKinds, StoreError> {
        if let Some(paused) = self.cache.get(&()) {
            return Ok(paused);
        }
        let pauses = self.store.jobs().pauses().await?;
        let paused =
            PausedKinds(Arc::new(pauses.iter().map(|pause| (pause.organisation, pause.kind)).collect()));
        self.cache.put((), paused.clone());
        Ok(paused)
    }

    /// Has the list read again.
    pub(super) fn forget(&self) {
        self.cache.clear();
    }
}
