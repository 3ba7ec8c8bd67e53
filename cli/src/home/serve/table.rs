//! The open connections: how many there are, and which one is idle for longest.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{sync::Notify, time::Instant};

use super::limits::Limits;

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// It waits for the next request, since its last answer's end.
    Idle(Instant),
    /// The head of a request isn't whole. Since its first byte; for the first request, since the connection's beginning.
    Head(Instant),
    /// A request is read or answered.
    Busy,
}

/// The state of one connection, shared by its task and the table.
#[derive(Debug)]
pub(super) struct State {
    phase: Mutex<Phase>,
    close: Notify,
}

impl Default for State {
    fn default() -> Self {
        Self { phase: Mutex::new(Phase::Head(Instant::now())), close: Notify::new() }
    }
}

impl State {
    /// Notes that bytes have come.
    pub(super) fn note_read(&self) {
        let mut phase = lock(&self.phase);
        if let Phase::Idle(_) = *phase {
            *phase = Phase::Head(Instant::now());
        }
    }

    /// Notes that a request is whole; the connection is idle again when the guard is dropped.
    pub(super) fn begin_request(self: &Arc<Self>) -> BusyGuard {
        *lock(&self.phase) = Phase::Busy;
        BusyGuard(Arc::clone(self))
    }

    pub(super) fn is_busy(&self) -> bool {
        *lock(&self.phase) == Phase::Busy
    }

    /// When the connection is to be closed if nothing happens; never while a request is answered.
    pub(super) fn deadline(&self, limits: &Limits) -> Option<Instant> {
        match *lock(&self.phase) {
            Phase::Idle(since) => Some(since + limits.idle),
            Phase::Head(since) => Some(since + limits.head),
            Phase::Busy => None,
        }
    }

    /// Waits until the table wants the connection's place.
    pub(super) async fn close_requested(&self) {
        self.close.notified().await;
    }

    /// Since when it has no request.
    fn waiting_since(&self) -> Option<Instant> {
        match *lock(&self.phase) {
            Phase::Idle(since) | Phase::Head(since) => Some(since),
            Phase::Busy => None,
        }
    }
}

/// Keeps a connection busy until its answer has been sent.
#[derive(Debug)]
pub(super) struct BusyGuard(Arc<State>);

impl Drop for BusyGuard {
    fn drop(&mut self) {
        *lock(&self.0.phase) = Phase::Idle(Instant::now());
    }
}

/// The open connections, at most so many.
#[derive(Debug)]
pub(super) struct Table {
    most: usize,
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    next: u64,
    open: HashMap<u64, Arc<State>>,
}

impl Table {
    pub(super) fn new(most: usize) -> Self {
        Self { most, entries: Mutex::default() }
    }

    /// A place for a new connection, that of the longest idle one if there is no other; none if all are busy.
    pub(super) fn enter(self: &Arc<Self>) -> Option<Entry> {
        let mut entries = lock(&self.entries);
        if entries.open.len() >= self.most && !entries.close_longest_idle() {
            return None;
        }
        entries.next += 1;
        let (id, state) = (entries.next, Arc::<State>::default());
        entries.open.insert(id, Arc::clone(&state));
        metrics::gauge!("hearth_connections").set(entries.open.len() as f64);
        Some(Entry { table: Arc::clone(self), id, state })
    }

    /// Closes the connection that has had no request for longest, if one has none.
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
