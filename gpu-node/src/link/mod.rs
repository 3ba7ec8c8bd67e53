//! The link of an enrolled node to its gateway: the node connects out, so it needs no open port.
//!
//! ```text
//! listener (socket, or polls) -> runs  -> relayed_run (claim, batches) -> client
//!                             -> calls -> the routes of the node link   -> client
//! reports (state, heartbeat)                                            -> client
//! ```
//!
//! A doorbell over the socket is a hint only: what the node has to do are its orders, which each report's answer and each request
//! for orders lists. Whatever is lost, doubled or late on the way: each run is claimed under a fencing token before it is
//! started, and its events are posted by their numbers until the gateway has the last one.

mod backoff;
mod batch;
mod calls;
mod client;
mod clock;
mod error;
pub mod identity;
mod listener;
mod relayed_run;
mod reports;
mod runs;
mod sleep;
mod socket;
#[cfg(test)]
mod tests;
pub mod timing;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use hearth_domain::NodeEnergy;
use hearth_wire::{ApiError, relay::NodeOrders};
use serde_json::Value;
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
    time::{Instant, timeout},
};
use tokio_util::task::TaskTracker;

pub use identity::{IdentityError, NodeIdentity};
pub use timing::LinkTiming;

use crate::supervisor::Node;
use calls::Calls;
use client::GatewayClient;
use error::LinkFailure;
use runs::Runs;

/// Time for which the last error is in the reports.
const ERROR_TTL: Duration = Duration::from_secs(3600);
/// Time for the last events of runs, and the answers of calls, to reach the gateway when the node stops.
const LAST_EVENTS_TIMEOUT: Duration = Duration::from_secs(3);

/// The configuration of a link.
#[derive(Debug, Clone)]
pub struct LinkConfig {
    /// The node's identity.
    pub identity: NodeIdentity,
    /// Runs at a time; none for no limit but the node's queues.
    pub runs_max_count: Option<u32>,
    /// Power and price.
    pub energy: Option<NodeEnergy>,
    /// Address of the network card.
    pub mac: Option<String>,
    /// Times.
    pub timing: LinkTiming,
}

impl LinkConfig {
    /// Creates a configuration without a limit.
    #[must_use]
    pub fn new(identity: NodeIdentity) -> Self {
        let timing = LinkTiming::default();
        Self { identity, runs_max_count: None, energy: None, mac: None, timing }
    }
}

/// State of the connection to the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkState {
    /// There was no answer yet.
    Connecting,
    /// The gateway has the node's report.
    Connected,
    /// Requests fail, for this reason; they are repeated.
    Failing(String),
}

/// The state that the tasks of a link share.
#[derive(Debug)]
struct Link {
    node: Node,
    client: GatewayClient,
    /// Random name of this process: the gateway distinguishes a repeated claim from one after a restart.
    process: String,
    timing: LinkTiming,
    runs_max_count: Option<u32>,
    energy: Option<NodeEnergy>,
    mac: Option<String>,
    runs: Runs,
    calls: Calls,
    /// The tasks of runs and calls.
    tasks: TaskTracker,
    /// The gateway's settings for this node, without the work; none before the first answer.
    settings: watch::Sender<Option<NodeOrders>>,
    state: watch::Sender<LinkState>,
    has_socket: AtomicBool,
    stopping: AtomicBool,
    last_error: Mutex<Option<(Instant, String)>>,
    /// The orders are to be fetched.
    orders_due: Notify,
    /// The status may have changed.
    status_check: Notify,
    /// A report is to be sent.
    report_due: Notify,
    /// The machine has slept.
    woken: Notify,
}

/// A running link.
#[derive(Debug)]
pub struct RunningLink {
    link: Arc<Link>,
    tasks: Vec<JoinHandle<()>>,
}

impl RunningLink {
    /// Connects `node` to its gateway. The link repeats what fails until it is stopped.
    ///
    /// # Errors
    /// If no HTTP client can be built.
    pub fn start(node: Node, config: LinkConfig) -> Result<Self, ApiError> {
        let LinkConfig { identity, runs_max_count, energy, mac, timing } = config;
        let client = GatewayClient::new(identity);
        let link = Arc::new(Link {
            node,
            process: format!("{:016x}", rand::random::<u64>()),
            client: client.map_err(|failure| failure.to_api_error())?,
            timing,
            runs_max_count,
            energy,
            mac,
            runs: Runs::new(runs_max_count),
            calls: Calls::default(),
            tasks: TaskTracker::new(),
            settings: watch::Sender::new(None),
            state: watch::Sender::new(LinkState::Connecting),
            has_socket: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            last_error: Mutex::default(),
            orders_due: Notify::new(),
            status_check: Notify::new(),
            report_due: Notify::new(),
            woken: Notify::new(),
        });
        let tasks = vec![
            tokio::spawn(reports::run(Arc::clone(&link))),
            tokio::spawn(listener::run(Arc::clone(&link))),
            tokio::spawn(listener::fetch_orders(Arc::clone(&link))),
        ];
        Ok(Self { link, tasks })
    }

    /// The state of the connection.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<LinkState> {
        self.link.state.subscribe()
    }

    /// Number of the gateway's runs on the node.
    #[must_use]
    pub fn active_runs(&self) -> usize {
        self.link.runs.active_count()
    }

    /// Claims no further runs, tells the gateway so, and waits for the active ones, for `grace` at most.
    pub async fn drain(&self, grace: Duration) {
        let link = &self.link;
        link.stopping.store(true, Ordering::Relaxed);
        link.runs.close();
        let report = link.report(None);
        let last_report = link.client.post::<Value>("/v1/node/report", &report, link.timing.claim_timeout);
        let drained = async { tokio::join!(last_report, link.runs.wait_until_idle()) };
        let _ = timeout(grace, drained).await;
    }

    /// Ends the link. Call [`RunningLink::drain`] and [`Node::shut_down`] before: the shutdown ends the last runs, whose last
    /// events are still posted.
    pub async fn stop(self) {
        let link = &self.link;
        link.runs.close();
        link.tasks.close();
        if timeout(LAST_EVENTS_TIMEOUT, link.tasks.wait()).await.is_err() {
            tracing::warn!(
                runs = self.active_runs(),
                "the gateway doesn't have the last events of some runs"
            );
        }
        for task in self.tasks {
            task.abort();
        }
    }
}

impl Link {
    /// Begins to carry out orders. Returns whether there was something new.
    fn accept(self: &Arc<Self>, orders: NodeOrders) -> bool {
        self.note_success();
        let mut has_new = false;
        for run in orders.cancelled.iter().filter(|run| !orders.runs.contains(run)) {
            self.runs.cancel(self, *run);
        }
        for run in &orders.runs {
            let cancelled = orders.cancelled.contains(run);
            has_new |= self.runs.start(self, *run, cancelled);
            if cancelled {
                self.runs.cancel(self, *run);
            }
        }
        for call in &orders.calls {
            has_new |= self.calls.start(self, call.clone());
        }
        let settings = NodeOrders { runs: Vec::new(), calls: Vec::new(), cancelled: Vec::new(), ..orders };
        self.settings.send_if_modified(|before| {
            let changed = before.as_ref() != Some(&settings);
            *before = Some(settings);
            changed
        });
        has_new
    }

    /// Notes that the gateway has answered.
    fn note_success(&self) {
        self.state.send_if_modified(|state| {
            let connects = *state != LinkState::Connected;
            *state = LinkState::Connected;
            connects
        });
    }

    /// Notes a failure that is repeated.
    fn note_failure(&self, failure: &LinkFailure) {
        let message = failure.to_string();
        let is_new = self.state.send_if_modified(|state| {
            let is_new = !matches!(state, LinkState::Failing(before) if *before == message);
            *state = LinkState::Failing(message.clone());
            is_new
        });
        if is_new {
            tracing::warn!(%failure, node = %self.client.node(), "a request to the gateway failed");
        }
        *lock(&self.last_error) = Some((Instant::now(), message));
    }

    /// Notes a failure, and stops all runs if the node's key isn't accepted any more.
    fn note_refusal(self: &Arc<Self>, failure: &LinkFailure) {
        self.note_failure(failure);
        if failure.is_unauthorized() {
            self.runs.cancel_all(self);
        }
    }

    fn last_error(&self) -> Option<String> {
        let error = lock(&self.last_error).clone();
        error.filter(|(at, _)| at.elapsed() < ERROR_TTL).map(|(_, message)| message)
    }

    fn has_socket(&self) -> bool {
        self.has_socket.load(Ordering::Relaxed)
    }

    fn set_socket(&self, has_socket: bool) {
        self.has_socket.store(has_socket, Ordering::Relaxed);
        // The gateway can be reached again; or reports renew the lease from now on.
        self.report_due.notify_one();
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
