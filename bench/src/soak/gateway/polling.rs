//! Requests for the list of models beside the load.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::{Duration, Instant},
};

use tokio::{
    task::{JoinHandle, spawn_local},
    time::sleep,
};

use super::process::Gateway;

/// Pause between two requests.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// Requests for the list of models, one after the other. It is a task of this thread.
pub(super) struct ModelsPolling {
    latencies: Rc<RefCell<Vec<f64>>>,
    /// The time at which the request began that isn't answered yet.
    waiting_since: Rc<Cell<Option<Instant>>>,
    task: JoinHandle<()>,
}

impl ModelsPolling {
    pub(super) fn start(gateway: &Gateway) -> Self {
        let (latencies, waiting_since) =
            (Rc::<RefCell<Vec<f64>>>::default(), Rc::<Cell<Option<Instant>>>::default());
        let (log, waiting, request) =
            (Rc::clone(&latencies), Rc::clone(&waiting_since), gateway.models_request());
        let task = spawn_local(async move {
            while let Some(request) = request.try_clone() {
                waiting.set(Some(Instant::now()));
                let latency = Gateway::latency(request).await;
                waiting.set(None);
                log.borrow_mut().push(latency);
                sleep(POLL_INTERVAL).await;
            }
        });
        Self { latencies, waiting_since, task }
    }

    /// Ends it, before the gateway ends. Returns the times of the answers, in milliseconds; of a request that isn't answered yet the
    /// time that it has waited.
    pub(super) fn end(self) -> Vec<f64> {
        self.task.abort();
        let mut latencies = self.latencies.take();
        latencies.extend(self.waiting_since.get().map(|began| began.elapsed().as_secs_f64() * 1e3));
        latencies
    }
}
