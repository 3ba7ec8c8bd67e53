//! Times of the link. Tests shorten them.

use std::time::Duration;

/// Times of the link.
#[derive(Debug, Clone)]
pub struct LinkTiming {
    /// Delay before a request is repeated for the first time; it doubles each time.
    pub retry_min: Duration,
    /// Longest delay before a request of a run is repeated.
    pub run_retry_max: Duration,
    /// Longest delay before a report, a request for orders or a connection of the socket is repeated.
    pub retry_max: Duration,
    /// Delay before the socket is connected for the second time; it doubles each time up to `retry_max`.
    pub reconnect_min: Duration,
    /// Longest delay of the first events of a run, those before its answer, so that one batch has several of them.
    pub linger: Duration,
    /// Shortest time between two batches of a run.
    pub batch_min: Duration,
    /// Longest time between two batches of a run while it has events. Between the two the time is that of a round trip.
    pub batch_max: Duration,
    /// Timeout of a request, beside the time that its body takes over a slow line.
    pub request_timeout: Duration,
    /// Timeout of a claim, and of a request for orders after a doorbell: the gateway waits 10 s for a claim, so that there must be
    /// time for another one after a connection that has died.
    pub claim_timeout: Duration,
    /// Time for which the gateway may hold a request for orders until there are some.
    pub poll_wait: Duration,
    /// Shortest time between two requests for orders that brought nothing new.
    pub poll_min: Duration,
    /// Interval of the checks whether the node's status changed.
    pub status_check: Duration,
    /// Shortest time between two reports.
    pub report_min: Duration,
    /// Longest time between two reports while heartbeats over a socket renew the lease.
    pub report_max: Duration,
    /// Timeout for the answer to a heartbeat; then the socket counts as dead.
    pub heartbeat_timeout: Duration,
    /// Life of a socket, if the gateway says nothing else.
    pub socket_life: Duration,
    /// Time for which a run's events can't be delivered before the run is given up: as long as the node's log has them.
    pub delivery_timeout: Duration,
    /// Timeout of a call that isn't a run.
    pub call_timeout: Duration,
}

impl Default for LinkTiming {
    fn default() -> Self {
        Self {
            retry_min: Duration::from_millis(250),
            run_retry_max: Duration::from_secs(5),
            retry_max: Duration::from_secs(60),
            reconnect_min: Duration::from_secs(1),
            linger: Duration::from_millis(150),
            batch_min: Duration::from_millis(150),
            batch_max: Duration::from_millis(300),
            request_timeout: Duration::from_secs(10),
            claim_timeout: Duration::from_secs(3),
            poll_wait: Duration::from_secs(20),
            poll_min: Duration::from_secs(1),
            status_check: Duration::from_secs(2),
            report_min: Duration::from_secs(2),
            report_max: Duration::from_secs(3600),
            heartbeat_timeout: Duration::from_secs(20),
            socket_life: Duration::from_secs(2 * 3600),
            delivery_timeout: Duration::from_secs(300),
            call_timeout: Duration::from_secs(60),
        }
    }
}
