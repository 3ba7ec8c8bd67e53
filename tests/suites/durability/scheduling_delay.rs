//! The time for which the machine left a thread waiting for a processor.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// Interval at which the thread wants to run.
const TICK_INTERVAL: Duration = Duration::from_millis(1);

/// Measures, by a thread that sleeps for a millisecond at a time, how much later it wakes. The threads of the gateway wait as
/// long for a processor: no promise about milliseconds can hold without one.
pub(crate) struct SchedulingDelay {
    /// The delays, with their times.
    delays: Arc<Mutex<Vec<(Instant, Duration)>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl SchedulingDelay {
    /// Starts to measure.
    pub(crate) fn start() -> Self {
        let (delays, stop) = (Arc::<Mutex<Vec<_>>>::default(), Arc::<AtomicBool>::default());
        let (log, stopped) = (Arc::clone(&delays), Arc::clone(&stop));
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let before = Instant::now();
                thread::park_timeout(TICK_INTERVAL);
                let now = Instant::now();
                let delay = now.duration_since(before).saturating_sub(TICK_INTERVAL);
                log.lock().unwrap().push((now, delay));
            }
        });
        Self { delays, stop, thread: Some(thread) }
    }

    /// The sum of the delays before `at` within twice the time in which something must be stored, without those below 2 ms. The
    /// window bounds what the delays can excuse.
    pub(crate) fn before(&self, at: Instant, limit: Duration) -> Duration {
        let delays = self.delays.lock().unwrap();
        let of_window = delays.iter().filter(|(time, _)| *time <= at && at.duration_since(*time) < 2 * limit);
        of_window.map(|(_, delay)| *delay).filter(|delay| *delay >= 2 * TICK_INTERVAL).sum()
    }
}

impl Drop for SchedulingDelay {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
