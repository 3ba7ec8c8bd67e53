//! Reports of the node's state: at the start, after a change, and at the interval that the gateway sets.

use std::{sync::Arc, time::Duration};

use hearth_domain::{RuntimeState, Timestamp};
use hearth_wire::{
    node::NodeStatus,
    relay::{NodeOrders, NodeReport},
};
use tokio::time::{Instant, sleep_until};

use super::{Link, backoff::Backoff, error::LinkFailure, sleep::SleepDetector};

/// Reports until the node shuts down.
pub(super) async fn run(link: Arc<Link>) {
    let mut reporter = Reporter { sent: None, link: &link };
    let mut backoff = Backoff::new(link.timing.reconnect_min, link.timing.retry_max);
    // An error of the status means that the node is shutting down: nothing changes any more.
    while let Ok(status) = link.node.status().await {
        let (sent_at, delay) = (Instant::now(), link.timing.report_min);
        match reporter.send(status).await {
            Ok(orders) => {
                backoff.reset();
                link.accept(orders);
                if reporter.wait_until_due(sent_at + delay).await.is_none() {
                    return;
                }
            }
            Err(failure) => {
                link.note_refusal(&failure);
                tokio::select! {
                    () = backoff.wait() => {}
                    () = link.report_due.notified() => {}
                }
            }
        }
    }
}

struct Reporter<'a> {
    link: &'a Arc<Link>,
    /// The status that the gateway has, and when it was sent.
    sent: Option<(NodeStatus, Instant)>,
}

impl Reporter<'_> {
    /// Sends a report, with the status if the gateway doesn't have it.
    async fn send(&mut self, status: NodeStatus) -> Result<NodeOrders, LinkFailure> {
        let (timing, now) = (&self.link.timing, Instant::now());
        let has_sent =
            self.sent.as_ref().is_some_and(|(sent, at)| *sent == status && *at + timing.report_max > now);
        let report = self.link.report((!has_sent).then(|| status.clone()));
        let orders = self.link.client.post("/v1/node/report", &report, timing.request_timeout).await?;
        if !has_sent {
            self.sent = Some((status, now));
        }
        Ok(orders)
    }

    /// Waits until the next report is due, not before `earliest`. None if the node is shutting down.
    async fn wait_until_due(&mut self, earliest: Instant) -> Option<()> {
        let due_at = earliest + self.link.report_interval();
        let mut sleep_detector = SleepDetector::new();
        loop {
            let check_at = Instant::now() + self.link.timing.status_check;
            tokio::select! {
                () = self.link.report_due.notified() => return Some(()),
                () = self.link.status_check.notified() => {}
                () = sleep_until(check_at.min(due_at)) => {}
            }
            let has_slept = sleep_detector.has_slept();
            if has_slept {
                tracing::info!("the machine has slept; the gateway is told that the node is back");
                self.link.woken.notify_waiters();
            }
            if has_slept || Instant::now() >= due_at {
                return Some(());
            }
            let status = self.link.node.status().await.ok()?;
            if self.sent.as_ref().is_none_or(|(sent, _)| has_changed(sent, &status)) {
                sleep_until(earliest).await;
                return Some(());
            }
        }
    }
}

/// Returns whether a status differs from an earlier one by more than what changes with each run or by itself.
fn has_changed(before: &NodeStatus, now: &NodeStatus) -> bool {
    lasting(before) != lasting(now)
}

/// The lasting part of a status.
fn lasting(status: &NodeStatus) -> NodeStatus {
    let mut status = status.clone();
    status.storage = None;
    for model in &mut status.models {
        let runtime = &mut model.runtime;
        if runtime.state == RuntimeState::Busy {
            runtime.state = RuntimeState::Loaded;
        }
        (runtime.active, runtime.queue_depth, runtime.progress) = (0, 0, None);
        (runtime.memory_bytes, runtime.last_used_at) = (None, None);
    }
    status
}

impl Link {
    /// The node's state, with its status if it is given.
    pub(super) fn report(&self, status: Option<NodeStatus>) -> NodeReport {
        NodeReport {
            status,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            now: Timestamp::now(),
            energy: self.energy,
            mac: self.mac.clone(),
            runs_max_count: self.runs_max_count,
            last_error: self.last_error(),
            stopping: self.is_stopping(),
        }
    }

    /// Time between two reports without a change: heartbeats over a socket renew the lease in their place.
    fn report_interval(&self) -> Duration {
        let seconds = self.settings.borrow().as_ref().map_or(0, |settings| settings.report_seconds);
        match (self.has_socket(), seconds) {
            (true, _) => self.timing.report_max,
            (false, 0) => self.timing.report_min,
            (false, seconds) => Duration::from_secs(seconds.into()),
        }
    }
}
