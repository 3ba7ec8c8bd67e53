//! Waits for work: doorbells over a socket; where there is none, long polls, or polls at an interval.

use std::{sync::Arc, time::Duration};

use futures::{FutureExt as _, future::BoxFuture};
use hearth_wire::relay::{Doorbell, NodeOrders};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::{Link, backoff::Backoff, error::LinkFailure, socket::Socket};

/// A socket that lives shorter than this isn't a success: the next one is connected after a longer delay.
const SETTLED_INTERVAL: Duration = Duration::from_secs(10);

/// Listens until the task is aborted.
pub(super) async fn run(link: Arc<Link>) {
    let mut settings = link.settings.subscribe();
    // The sender is in the link.
    let _ = settings.wait_for(Option::is_some).await;
    let timing = &link.timing;
    let mut reconnects = Backoff::new(timing.reconnect_min, timing.retry_max);
    let backoff = Backoff::new(timing.reconnect_min, timing.retry_max);
    let mut poller = Poller { link: &link, backoff, is_answered: false };
    loop {
        let address = link.settings.borrow().as_ref().and_then(|settings| settings.socket.clone());
        let Some(address) = address else {
            poller.poll(timing.poll_wait).await;
            continue;
        };
        match Socket::connect(&link.client, &address).await {
            Ok(socket) => {
                let connected_at = Instant::now();
                listen(&link, socket, &address).await;
                if connected_at.elapsed() >= SETTLED_INTERVAL {
                    reconnects.reset();
                }
            }
            Err(failure) => link.note_refusal(&failure),
        }
        poller.poll_until(Instant::now() + reconnects.delay()).await;
    }
}

/// Fetches the orders each time that they are due.
pub(super) async fn fetch_orders(link: Arc<Link>) {
    let mut backoff = Backoff::new(link.timing.retry_min, link.timing.run_retry_max);
    loop {
        link.orders_due.notified().await;
        while let Err(failure) = request_orders(&link, Duration::ZERO, link.timing.claim_timeout).await {
            link.note_refusal(&failure);
            backoff.wait().await;
        }
        backoff.reset();
    }
}

/// Requests the orders, for which the gateway may wait, and begins to carry them out. Returns whether there was something new.
async fn request_orders(link: &Arc<Link>, wait: Duration, timeout: Duration) -> Result<bool, LinkFailure> {
    let path = format!("/v1/node/orders?wait={}", wait.as_secs());
    let orders: NodeOrders = link.client.get(&path, wait + timeout).await?;
    Ok(link.accept(orders))
}

/// Requests orders while there is no socket.
struct Poller<'a> {
    link: &'a Arc<Link>,
    backoff: Backoff,
    /// The last request had its answer. An answer that was lost may have had orders that the gateway counts as delivered: the
    /// next request must not wait.
    is_answered: bool,
}

impl Poller<'_> {
    /// Polls until a time.
    async fn poll_until(&mut self, end: Instant) {
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let polled = timeout_at(end, self.poll(left.min(self.link.timing.poll_wait))).await;
            if polled.is_err() || Instant::now() >= end {
                return;
            }
        }
    }

    /// Requests the orders once, and waits as long as the gateway wants.
    async fn poll(&mut self, wait: Duration) {
        let began = Instant::now();
        let wait = if self.is_answered { wait } else { Duration::ZERO };
        self.is_answered = false;
        match request_orders(self.link, wait, self.link.timing.request_timeout).await {
            Ok(has_new) => {
                self.is_answered = true;
                self.backoff.reset();
                let seconds =
                    self.link.settings.borrow().as_ref().map_or(0, |settings| settings.poll_seconds);
                let interval = Duration::from_secs(seconds.into());
                // A gateway that answers at once, and with nothing, must not be asked without a pause.
                let least = if has_new { Duration::ZERO } else { self.link.timing.poll_min };
                sleep_until((began + least).max(Instant::now() + interval)).await;
            }
            Err(failure) => {
                self.link.note_refusal(&failure);
                self.backoff.wait().await;
            }
        }
    }
}

/// Listens to a socket, and to those that follow it, until one breaks off.
async fn listen(link: &Arc<Link>, mut socket: Socket, address: &str) {
    let _connected = Connected::new(link);
    let mut heartbeats = Heartbeats::new();
    let mut renewal = Renewal::new(link, address);
    loop {
        tokio::select! {
            doorbell = socket.next() => match doorbell {
                Some(doorbell) => {
                    heartbeats.is_waiting = false;
                    ring(link, &doorbell);
                }
                None => return,
            },
            () = sleep_until(heartbeats.next_at(link)) => {
                if heartbeats.is_waiting || !socket.send_heartbeat().await {
                    tracing::info!("the socket is dead; the next one is connected");
                    return;
                }
                heartbeats = Heartbeats { sent_at: Instant::now(), is_waiting: true };
            }
            // The connection didn't survive the sleep, which nothing else shows for a while.
            () = link.woken.notified() => return,
            next = renewal.next() => {
                // Doorbells that came to the old one meanwhile are in the orders.
                let old = std::mem::replace(&mut socket, next);
                link.orders_due.notify_one();
                heartbeats = Heartbeats::new();
                link.tasks.spawn(old.close());
            }
        }
    }
}

fn ring(link: &Arc<Link>, doorbell: &Doorbell) {
    match doorbell {
        Doorbell::Run { run } => {
            link.runs.start(link, *run, false);
        }
        Doorbell::Cancel { run } => link.runs.cancel(link, *run),
        Doorbell::Orders => link.orders_due.notify_one(),
        Doorbell::Heartbeat => {}
    }
}

/// Marks the link as one with a socket, as long as it exists.
struct Connected<'a>(&'a Link);

impl<'a> Connected<'a> {
    fn new(link: &'a Link) -> Self {
        link.set_socket(true);
        // Doorbells that had no socket.
        link.orders_due.notify_one();
        Self(link)
    }
}

impl Drop for Connected<'_> {
    fn drop(&mut self) {
        self.0.set_socket(false);
    }
}

/// The heartbeats of a socket. One without an answer finds a half-open connection.
struct Heartbeats {
    sent_at: Instant,
    /// A heartbeat was sent, and nothing has come since.
    is_waiting: bool,
}

impl Heartbeats {
    fn new() -> Self {
        Self { sent_at: Instant::now(), is_waiting: false }
    }

    /// The time of the next heartbeat, or of the timeout of the last one.
    fn next_at(&self, link: &Link) -> Instant {
        let seconds = link.settings.borrow().as_ref().map_or(0, |settings| settings.report_seconds);
        let interval = Duration::from_secs(seconds.max(1).into());
        self.sent_at + if self.is_waiting { link.timing.heartbeat_timeout } else { interval }
    }
}

/// The connection of the next socket, before the gateway closes the present one.
struct Renewal<'a> {
    link: &'a Arc<Link>,
    address: &'a str,
    begin_at: Instant,
    backoff: Backoff,
    connection: Option<BoxFuture<'a, Result<Socket, LinkFailure>>>,
}

impl<'a> Renewal<'a> {
    fn new(link: &'a Arc<Link>, address: &'a str) -> Self {
        let backoff = Backoff::new(link.timing.reconnect_min, link.timing.retry_max);
        Self { link, address, begin_at: Instant::now() + renewal_time(link), backoff, connection: None }
    }

    /// Waits for the next socket. May be dropped and called again.
    async fn next(&mut self) -> Socket {
        let (link, address) = (self.link, self.address);
        loop {
            if self.connection.is_none() {
                sleep_until(self.begin_at).await;
            }
            let connect = || Socket::connect(&link.client, address).boxed();
            let connected = self.connection.get_or_insert_with(connect).await;
            self.connection = None;
            match connected {
                Ok(socket) => {
                    self.backoff.reset();
                    self.begin_at = Instant::now() + renewal_time(link);
                    return socket;
                }
                Err(failure) => {
                    link.note_refusal(&failure);
                    self.begin_at = Instant::now() + self.backoff.delay();
                }
            }
        }
    }
}

/// Time after which a socket is replaced: 110 minutes of 2 hours.
fn renewal_time(link: &Link) -> Duration {
    let seconds = link.settings.borrow().as_ref().and_then(|settings| settings.socket_seconds);
    seconds.map_or(link.timing.socket_life, |seconds| Duration::from_secs(seconds.into())) * 11 / 12
}
