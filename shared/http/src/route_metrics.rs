//! The metrics of requests, with handles that are kept: to look a metric up by its labels takes longer than to count.

use std::{
    sync::{OnceLock, PoisonError, RwLock},
    time::Duration,
};

use metrics::{Counter, Histogram};

/// The handles of one route and method, made at its first request.
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
        // A fallback takes requests of any method.
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
            let known = self.requests.read().unwrap_or_else(PoisonError::into_inner);
            if let Some((_, counter)) = known.iter().find(|(of, _)| *of == status) {
                return counter.increment(1);
            }
        }
        let counter = requests(self.method, &self.route, status);
        counter.increment(1);
        let mut known = self.requests.write().unwrap_or_else(PoisonError::into_inner);
        if known.iter().all(|(of, _)| *of != status) {
            known.push((status, counter));
        }
    }
}

fn requests(method: &'static str, route: &str, status: u16) -> Counter {
    metrics::counter!(
        "hearth_requests_total",
        "method" => method, "route" => route.to_owned(), "status" => status.to_string()
    )
}

fn seconds(route: &str) -> Histogram {
    metrics::histogram!("hearth_request_seconds", "route" => route.to_owned())
}
