//! Metrics of requests, with cached handles: a look-up by labels takes longer than counting.

use std::{
    sync::{OnceLock, PoisonError, RwLock},
    time::Duration,
};

use metrics::{Counter, Histogram};

/// Metric handles of one route and method, created at its first request.
#[derive(Debug, Default)]
pub(crate) struct RouteMetrics(OnceLock<Handles>);

struct Handles {
    method: &'static str,
    route: Box<str>,
    seconds: Histogram,
    requests: RwLock<Vec<(u16, Counter)>>,
}

impl std::fmt::Debug for Handles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handles")
            .field("method", &self.method)
            .field("route", &self.route)
            .finish_non_exhaustive()
    }
}

impl RouteMetrics {
    /// Counts a request.
    pub(crate) fn record(&self, method: &'static str, route: &str, status: u16, latency: Duration) {
        let handles = self.0.get_or_init(|| Handles {
            method,
            route: route.into(),
            seconds: seconds(route),
            requests: RwLock::default(),
        });
        // A fallback serves requests of any method.
        if handles.method == method && *handles.route == *route {
            handles.count(status);
            handles.seconds.record(latency);
        } else {
            requests(method, route, status).increment(1);
            seconds(route).record(latency);
        }
    }
}

impl Handles {
    fn count(&self, status: u16) {
        {
            let counters = self.requests.read().unwrap_or_else(PoisonError::into_inner);
            if let Some((_, counter)) = counters.iter().find(|(of, _)| *of == status) {
                return counter.increment(1);
            }
        }
        let counter = requests(self.method, &self.route, status);
        counter.increment(1);
        let mut counters = self.requests.write().unwrap_or_else(PoisonError::into_inner);
        if counters.iter().all(|(of, _)| *of != status) {
            counters.push((status, counter));
        }
    }
}

/// The count of the requests of a route, by their status.
pub(crate) fn requests(method: &'static str, route: &str, status: u16) -> Counter {
    metrics::counter!(
        "hearth_requests_total",
        "method" => method, "route" => route.to_owned(), "status" => status.to_string()
    )
}

fn seconds(route: &str) -> Histogram {
    metrics::histogram!("hearth_request_seconds", "route" => route.to_owned())
}
