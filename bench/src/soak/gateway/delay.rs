//! The time for which the machine leaves a thread waiting for a processor.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// Interval at which the thread wants to run.
const TICK_INTERVAL: Duration = Duration::from_millis(1);

/// Measures how much later than it wants a thread wakes. Those of the gateway wait as long: clients, gateway and worker share the
/// processors.
pub(super) struct SchedulingDelay {
    /// The delays, with their times.
    delays: Arc<Mutex<Vec<(Instant, Duration)>>>,
    stops: Arc<AtomicBool>,
}

impl SchedulingDelay {
    /// Starts to measure.
    pub(super) fn start() -> Self {
        let delays = Self { delays: Arc::default(), stops: Arc::default() };
        let (log, stops) = (Arc::clone(&delays.delays), Arc::clone(&delays.stops));
        thread::spawn(move || {
            while !stops.load(Ordering::Relaxed) {
                let before = Instant::now();
                thread::park_timeout(TICK_INTERVAL);
                let now = Instant::now();
                let delay = now.duration_since(before).saturating_sub(TICK_INTERVAL);
                log.lock().unwrap_or_else(PoisonError::into_inner).push((now, delay));
            }
        });
        delays
    }

    /// The sum of the delays before `at` within twice the time in which something must be stored, without those below 2 ms. The
    /// window bounds what the delays can excuse.
    pub(super) fn before(&self, at: Instant, limit: Duration) -> Duration {
        let delays = self.delays.lock().unwrap_or_else(PoisonError::into_inner);
        let of_window = delays.iter().filter(|(time, _)| *time <= at && at.duration_since(*time) < 2 * limit);
        of_window.map(|(_, delay)| *delay).filter(|delay| *delay >= 2 * TICK_INTERVAL).sum()
    }
}

impl Drop for SchedulingDelay {
    fn drop(&mut self) {
        self.stops.store(true, Ordering::Relaxed);
    }
}
