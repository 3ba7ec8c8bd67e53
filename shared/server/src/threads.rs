//! The threads that serve connections: a current-thread runtime for each.
//!
//! A connection stays on its thread, with its requests and the tasks that they spawn: no task moves between threads.
//! Background work is spawned on the runtime that the threads were started from ([`hearth_gateway::background`]).

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
};

use hearth_gateway::background;
use tokio::{
    runtime::{Builder, Handle},
    sync::oneshot,
};

/// Running threads. They end when this is dropped, together with their tasks.
#[derive(Debug)]
pub struct ServingThreads {
    threads: Vec<ServingThread>,
    next: AtomicUsize,
}

#[derive(Debug)]
struct ServingThread {
    runtime: Handle,
    connections: Arc<AtomicUsize>,
    /// Dropped to end the thread.
    _alive: oneshot::Sender<()>,
}

/// A connection's place on a thread, for counting.
#[derive(Debug)]
pub(super) struct Place {
    connections: Arc<AtomicUsize>,
}

impl ServingThreads {
    /// Starts `count` threads; background work runs on the current runtime.
    pub(super) fn start(count: usize) -> io::Result<Self> {
        let threads = (0..count.max(1)).map(ServingThread::start).collect::<io::Result<_>>()?;
        Ok(Self { threads, next: AtomicUsize::new(0) })
    }

    /// Returns a place on the thread with the fewest connections; equal threads take turns.
    pub(super) fn place(&self) -> (&Handle, Place) {
        let first = self.next.fetch_add(1, Relaxed) % self.threads.len();
        let in_turn = self.threads[first..].iter().chain(&self.threads[..first]);
        let fewest = in_turn.min_by_key(|thread| thread.connections.load(Relaxed));
        let thread = fewest.unwrap_or(&self.threads[first]);
        thread.connections.fetch_add(1, Relaxed);
        (&thread.runtime, Place { connections: Arc::clone(&thread.connections) })
    }

    /// The threads' runtimes.
    pub(super) fn runtimes(&self) -> Vec<Handle> {
        self.threads.iter().map(|thread| thread.runtime.clone()).collect()
    }
}

impl ServingThread {
    fn start(number: usize) -> io::Result<Self> {
        let background = Handle::current();
        let serving = Builder::new_current_thread()
            .on_thread_park(hearth_memory::release_if_requested)
            .enable_all()
            .build()?;
        let runtime = serving.handle().clone();
        let (alive, ended) = oneshot::channel();
        thread::Builder::new().name(format!("serve-{number}")).spawn(move || {
            background::assign(background);
            // Ends with an error, since no value is sent.
            let _ = serving.block_on(ended);
            serving.shutdown_background();
        })?;
        Ok(Self { runtime, connections: Arc::default(), _alive: alive })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn connections_are_spread_evenly() {
        let threads = ServingThreads::start(3).unwrap();
        let mut places: Vec<_> = (0..6).map(|_| threads.place().1).collect();
        let counts =
            || threads.threads.iter().map(|thread| thread.connections.load(Relaxed)).collect::<Vec<_>>();
        assert_eq!(counts(), [2, 2, 2]);
        // New connections go to the thread on which two have ended.
        let ended = places[0].connections.clone();
        places.retain(|place| !Arc::ptr_eq(&place.connections, &ended));
        places.extend((0..2).map(|_| threads.place().1));
        assert_eq!(counts(), [2, 2, 2]);
    }

    #[tokio::test]
    async fn background_task_is_on_the_other_runtime() {
        let threads = ServingThreads::start(1).unwrap();
        let here = thread::current().id();
        let serving = threads.threads[0].runtime.spawn(async {
            let background = background::spawn(async { thread::current().id() });
            (thread::current().id(), background.await.unwrap())
        });
        let (serving, background) = serving.await.unwrap();
        assert!(serving != here && background == here);
    }
}
