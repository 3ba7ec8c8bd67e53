//! The turns of sessions: one at a time, in the order of their beginnings.
//!
//! The turns of a process wait for each other in memory, in order. The first of them takes the session's lease in the store,
//! where it waits for the turns of other processes, in the order of their runs. A lease ends unless it is renewed, so the
//! death of a process holds up a session for seconds.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, Weak},
    time::{Duration, Instant},
};

use hearth_domain::{RevisionId, RunId, SessionId, Timestamp};
use hearth_store::{
    Store, StoreError,
    sessions::{LeaseRequest, TurnLease, TurnLeaseOutcome},
};
use hearth_wire::{ApiError, ErrorCode};
use tokio::{
    sync::{Mutex, OwnedMutexGuard},
    task::AbortHandle,
};

use crate::{background, error};

/// Time of a lease, unless it is renewed.
const LEASE_TTL: Duration = Duration::from_secs(30);
/// Time between two renewals.
const LEASE_RENEW_INTERVAL: Duration = Duration::from_secs(8);
/// Time of a place in the line, unless it is renewed.
const PLACE_TTL: Duration = Duration::from_secs(6);
/// Time between two renewals of a place.
const PLACE_RENEW_INTERVAL: Duration = Duration::from_secs(2);
/// The shortest and the longest time between two attempts to take a lease.
const LEASE_POLL_INTERVAL: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(320));
/// Lines in memory from which on the unused ones are dropped.
const LINES_MAX_COUNT: usize = 1024;

/// The turns of this process.
#[derive(Debug)]
pub(crate) struct SessionTurns {
    store: Store,
    /// This process.
    process: RevisionId,
    /// True if no other process uses the store.
    is_sole_process: bool,
    wait_timeout: Duration,
    lines: std::sync::Mutex<HashMap<SessionId, Weak<Mutex<()>>>>,
}

/// A turn of a session, which ends when it is dropped.
#[derive(Debug)]
pub(crate) struct SessionTurn {
    /// The lease, under which the store appends messages.
    pub(crate) lease: TurnLease,
    store: Store,
    renewal: AbortHandle,
    /// The place at the front of the process' line; none once the turn has ended.
    front: Option<OwnedMutexGuard<()>>,
}

impl SessionTurns {
    pub(crate) fn new(store: Store, is_sole_process: bool, wait_timeout: Duration) -> Self {
        let lines = std::sync::Mutex::default();
        Self { store, process: RevisionId::new(), is_sole_process, wait_timeout, lines }
    }

    /// Begins a turn, once the session's earlier ones have ended. The future may be dropped at any time.
    ///
    /// # Errors
    /// `conflict` if they don't end in time; `internal` if the store fails.
    pub(crate) async fn begin(&self, id: SessionId, run: RunId) -> Result<SessionTurn, ApiError> {
        let waiting = async {
            let front = self.line(id).lock_owned().await;
            let lease = self.wait_for_lease(id, run).await.map_err(error::store)?;
            Ok(SessionTurn::new(self.store.clone(), lease, front))
        };
        match tokio::time::timeout(self.wait_timeout, waiting).await {
            Ok(turn) => turn,
            Err(_) => Err(too_long()),
        }
    }

    /// The process' line of a session.
    fn line(&self, id: SessionId) -> Arc<Mutex<()>> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = lines.get(&id).and_then(Weak::upgrade) {
            return line;
        }
        if lines.len() >= LINES_MAX_COUNT {
            lines.retain(|_, line| line.strong_count() > 0);
        }
        let line = Arc::default();
        lines.insert(id, Arc::downgrade(&line));
        line
    }

    async fn wait_for_lease(&self, id: SessionId, run: RunId) -> Result<TurnLease, StoreError> {
        let mut request = LeaseRequest {
            run,
            process: self.process,
            is_sole_process: self.is_sole_process,
            ttl: LEASE_TTL,
        };
        let (mut place, mut wait) = (None::<Place>, LEASE_POLL_INTERVAL.0);
        loop {
            request.ttl = LEASE_TTL;
            if let TurnLeaseOutcome::Leased(lease) = self.store.sessions().lease(id, &request).await? {
                return Ok(lease);
            }
            if place.as_ref().is_none_or(|place| place.renewed.elapsed() >= PLACE_RENEW_INTERVAL) {
                request.ttl = PLACE_TTL;
                self.store.sessions().put_place(id, &request).await?;
                let renewed = Instant::now();
                match &mut place {
                    Some(place) => place.renewed = renewed,
                    None => place = Some(Place { store: self.store.clone(), id, run, renewed }),
                }
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(LEASE_POLL_INTERVAL.1);
        }
    }
}

/// A place in the line of all processes, which is left when it is dropped.
struct Place {
    store: Store,
    id: SessionId,
    run: RunId,
    renewed: Instant,
}

impl Drop for Place {
    fn drop(&mut self) {
        let (store, id, run) = (self.store.clone(), self.id, self.run);
        // A place that isn't deleted ends after seconds.
        drop(background::spawn(async move { store.sessions().delete_place(id, run).await }));
    }
}

impl SessionTurn {
    fn new(store: Store, lease: TurnLease, front: OwnedMutexGuard<()>) -> Self {
        let renewed = store.clone();
        let renewal = background::spawn(async move {
            let mut held_until = Timestamp::now().plus(LEASE_TTL);
            loop {
                tokio::time::sleep(LEASE_RENEW_INTERVAL).await;
                let now = Timestamp::now();
                match renewed.sessions().renew_lease(&lease, LEASE_TTL).await {
                    Ok(()) => held_until = now.plus(LEASE_TTL),
                    // Its turn's next write finds that out.
                    Err(StoreError::Conflict) => return,
                    Err(error) => {
                        tracing::warn!(session = %lease.session, %error, "the lease of a turn can't be renewed");
                        if held_until <= now {
                            return;
                        }
                    }
                }
            }
        });
        Self { lease, store, renewal: renewal.abort_handle(), front: Some(front) }
    }

    /// Ends the turn, and returns when the next one can begin. For a process that may be frozen after its response.
    pub(crate) async fn end(mut self) {
        self.renewal.abort();
        let front = self.front.take();
        if let Err(error) = self.store.sessions().release(&self.lease).await {
            tracing::warn!(session = %self.lease.session, %error, "the lease of a turn can't be released; it expires");
        }
        drop(front);
    }
}

impl Drop for SessionTurn {
    fn drop(&mut self) {
        self.renewal.abort();
        if let Some(front) = self.front.take() {
            let (store, lease) = (self.store.clone(), self.lease);
            drop(background::spawn(async move {
                let released = store.sessions().release(&lease).await;
                drop(front);
                released
            }));
        }
    }
}

fn too_long() -> ApiError {
    let message = "earlier turns of the session are still in progress; wait for their ends, or cancel them";
    ApiError::new(ErrorCode::Conflict, message)
}
