//! The table of open connections, which closes the longest idle one when it is full.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use hearth_gateway::activity;
use tokio::{
    sync::{Notify, OwnedSemaphorePermit},
    time::Instant,
};

use super::limits::Limits;

/// Phase of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Waiting for the next request, since the end of the last response.
    Idle(Instant),
    /// Receiving the head of a request, since its first byte; for the first request, since the connection's beginning.
    Head(Instant),
    /// Processing a request.
    Busy,
    /// A WebSocket, to its end.
    Upgraded,
}

/// The state of one connection, shared by its task and the table.
#[derive(Debug)]
pub(super) struct State {
    phase: Mutex<Phase>,
    close: Notify,
    /// Its place among the WebSockets, to its end.
    upgrade: OnceLock<OwnedSemaphorePermit>,
}

impl State {
    /// The state of a new connection.
    pub(super) fn new() -> Self {
        let phase = Mutex::new(Phase::Head(Instant::now()));
        Self { phase, close: Notify::new(), upgrade: OnceLock::new() }
    }

    /// Records that bytes have arrived.
    pub(super) fn note_read(&self) {
        let mut phase = lock(&self.phase);
        if let Phase::Idle(_) = *phase {
            *phase = Phase::Head(Instant::now());
        }
    }

    /// Records that a request's head is complete; the connection is idle again when the guard is dropped.
    pub(super) fn begin_request(self: &Arc<Self>) -> BusyGuard {
        activity::of_process().note();
        *lock(&self.phase) = Phase::Busy;
        BusyGuard(Arc::clone(self))
    }

    pub(super) fn is_busy(&self) -> bool {
        matches!(*lock(&self.phase), Phase::Busy | Phase::Upgraded)
    }

    /// Time at which the connection is closed if nothing happens; none while a request is processed.
    pub(super) fn deadline(&self, limits: &Limits) -> Option<Instant> {
        match *lock(&self.phase) {
            Phase::Idle(since) => Some(since + limits.idle),
            Phase::Head(since) => Some(since + limits.head),
            Phase::Busy | Phase::Upgraded => None,
        }
    }

    /// Waits until the table needs the connection's place.
    pub(super) async fn close_requested(&self) {
        self.close.notified().await;
    }

    /// Start of the time without a request, if the connection has none.
    fn waiting_since(&self) -> Option<Instant> {
        match *lock(&self.phase) {
            Phase::Idle(since) | Phase::Head(since) => Some(since),
            Phase::Busy | Phase::Upgraded => None,
        }
    }
}

/// Keeps a connection busy until its response is sent.
#[derive(Debug)]
pub(super) struct BusyGuard(Arc<State>);

impl BusyGuard {
    /// Keeps the connection busy to its end: it becomes a WebSocket, which no table closes for another connection. `place`: its
    /// place among the WebSockets.
    pub(super) fn keep(&self, place: OwnedSemaphorePermit) {
        // A connection becomes one once.
        let _ = self.0.upgrade.set(place);
        *lock(&self.0.phase) = Phase::Upgraded;
    }
}

impl Drop for BusyGuard {
    fn drop(&mut self) {
        activity::of_process().note();
        let mut phase = lock(&self.0.phase);
        if *phase == Phase::Busy {
            *phase = Phase::Idle(Instant::now());
        }
    }
}

/// The open connections, up to a limit.
#[derive(Debug)]
pub(super) struct Table {
    max_count: usize,
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    next: u64,
    open: HashMap<u64, Arc<State>>,
}

impl Table {
    pub(super) fn new(max_count: usize) -> Self {
        Self { max_count, entries: Mutex::default() }
    }

    /// Enters a new connection, and closes the longest idle one if the table is full. Returns none if all are busy.
    pub(super) fn enter(self: &Arc<Self>) -> Option<Entry> {
        let mut entries = lock(&self.entries);
        if entries.open.len() >= self.max_count && !entries.close_longest_idle() {
            return None;
        }
        entries.next += 1;
        let (id, state) = (entries.next, Arc::new(State::new()));
        entries.open.insert(id, Arc::clone(&state));
        metrics::gauge!("hearth_connections").set(entries.open.len() as f64);
        Some(Entry { table: Arc::clone(self), id, state })
    }

    /// Closes the connection that has been without a request for longest, if there is one.
    pub(super) fn close_longest_idle(&self) {
        lock(&self.entries).close_longest_idle();
    }
}

impl Entries {
    fn close_longest_idle(&mut self) -> bool {
        let waiting = self.open.iter().filter_map(|(id, state)| Some((state.waiting_since()?, *id)));
        let Some((_, id)) = waiting.min() else { return false };
        if let Some(state) = self.open.remove(&id) {
            state.close.notify_one();
        }
        metrics::counter!("hearth_connections_evicted_total").increment(1);
        true
    }
}

/// A connection's place in the table.
#[derive(Debug)]
pub(super) struct Entry {
    table: Arc<Table>,
    id: u64,
    state: Arc<State>,
}

impl Entry {
    pub(super) fn state(&self) -> Arc<State> {
        Arc::clone(&self.state)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut entries = lock(&self.table.entries);
        entries.open.remove(&self.id);
        metrics::gauge!("hearth_connections").set(entries.open.len() as f64);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longest_idle_connection_makes_room_and_busy_ones_stay() {
        let table = Arc::new(Table::new(2));
        let (first, second) = (table.enter().unwrap(), table.enter().unwrap());
        let busy = first.state().begin_request();
        let third = table.enter().unwrap();
        assert!(!lock(&table.entries).open.contains_key(&second.id));
        let also_busy = third.state().begin_request();
        assert!(table.enter().is_none());
        drop(busy);
        let fourth = table.enter().unwrap();
        drop((also_busy, first, second, third));
        assert_eq!(lock(&table.entries).open.keys().collect::<Vec<_>>(), [&fourth.id]);
    }
}
