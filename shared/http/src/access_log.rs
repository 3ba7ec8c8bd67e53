//! Log line and metrics of each request.

use std::{
    sync::{Arc, OnceLock},
    time::Instant,
};

use axum::{
    extract::{MatchedPath, Request},
    response::Response,
};
use hearth_domain::{OrganisationId, UserId};
use hearth_gateway::{Caller, Credential};
use http::{Extensions, Method};

use crate::{error::HttpError, no_route, request_id::RequestId, route_metrics::RouteMetrics};

/// Slot for the caller of a request: the guard fills it, and the log line reads it.
#[derive(Debug, Clone, Default)]
pub(crate) struct CallerSlot(Arc<OnceLock<CallerIds>>);

/// Ids of a caller, as they are logged.
#[derive(Debug, Clone, Copy)]
struct CallerIds {
    user: UserId,
    organisation: OrganisationId,
    credential: Credential,
}

impl CallerSlot {
    /// Fills the slot of a request.
    pub(crate) fn fill(extensions: &Extensions, caller: &Caller) {
        let Some(Self(slot)) = extensions.get::<Self>() else { return };
        let Caller { user, organisation, credential, .. } = *caller;
        let _ = slot.set(CallerIds { user, organisation, credential });
    }

    /// The ids, if the slot was filled.
    pub(crate) fn ids(&self) -> Option<(UserId, OrganisationId, Credential)> {
        self.0.get().map(|ids| (ids.user, ids.organisation, ids.credential))
    }
}

/// Log line of a request. Its latency ends with the response's headers; the time of a stream is in its run's record.
pub(crate) struct LogLine {
    /// Id of the request.
    pub(crate) id: RequestId,
    began: Instant,
    method: &'static str,
    route: Option<MatchedPath>,
    path: Option<String>,
    trace_id: Option<String>,
    caller: CallerSlot,
}

impl LogLine {
    pub(crate) fn begin(request: &mut Request, id: RequestId, trace_id: Option<String>) -> Self {
        let caller = CallerSlot::default();
        request.extensions_mut().insert(caller.clone());
        // The route's pattern instead of the path: ids and queries don't belong in logs and labels. A path without a route
        // is logged, redacted: it shows a wrong base URL.
        let route = request.extensions().get::<MatchedPath>().cloned();
        let path = route.is_none().then(|| no_route::loggable(request.uri().path()));
        Self {
            id,
            began: Instant::now(),
            method: method_label(request.method()),
            route,
            path,
            trace_id,
            caller,
        }
    }

    /// Logs and counts the request with its response.
    pub(crate) fn write(self, response: &Response, metrics: &RouteMetrics) {
        let route = self.route.as_ref().map_or("none", MatchedPath::as_str);
        let (latency, status) = (self.began.elapsed(), response.status().as_u16());
        let code = response.extensions().get::<HttpError>().map(|error| error.0.code.as_str());
        let caller = self.caller.0.get();
        // In the cloud `telemetry` adds metrics to the line, which it knows by the event's name.
        tracing::info!(
            name: "request",
            request_id = %self.id.0,
            trace_id = self.trace_id,
            user_id = caller.map(|caller| display(caller.user)),
            organisation_id = caller.map(|caller| display(caller.organisation)),
            credential = caller.map(|caller| display(caller.credential)),
            method = self.method,
            route,
            path = self.path,
            status,
            code,
            server_error = u8::from(is_server_error(response)),
            latency_ms = latency.as_secs_f64() * 1000.0,
            "request"
        );
        metrics.record(self.method, route, status, latency);
    }
}

/// True for a 5xx that the gateway itself is to blame for, and not a provider, a node or the request. A deployment is rolled
/// back for these.
pub(crate) fn is_server_error(response: &Response) -> bool {
    let error = response.extensions().get::<HttpError>();
    response.status().is_server_error() && error.is_none_or(|error| error.0.code.blames_gateway())
}

/// Name of a method in logs and metrics. A client may invent any method (RFC 9110, section 16.1), and each value of a
/// label stays in memory until the process ends: all but the nine of HTTP and of PATCH's RFC are `other`.
pub(crate) fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        Method::CONNECT => "CONNECT",
        Method::TRACE => "TRACE",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse as _;
    use hearth_wire::{ApiError, ErrorCode};
    use http::StatusCode;

    use super::*;

    #[test]
    fn failures_of_providers_and_nodes_are_not_the_gateways() {
        let is_own = |code| is_server_error(&HttpError(ApiError::new(code, "it failed")).into_response());
        let own = ErrorCode::ALL.iter().copied().filter(|code| is_own(*code)).collect::<Vec<_>>();
        assert_eq!(own, [ErrorCode::Internal, ErrorCode::Overloaded]);
        assert!(is_server_error(&StatusCode::BAD_GATEWAY.into_response()));
        assert!(!is_server_error(&StatusCode::NOT_FOUND.into_response()));
    }

    #[test]
    fn unknown_method_is_counted_as_other() {
        assert_eq!(method_label(&Method::PATCH), "PATCH");
        for unknown in ["get", "PROPFIND", &"M".repeat(30_000)] {
            assert_eq!(method_label(&Method::from_bytes(unknown.as_bytes()).unwrap()), "other");
        }
    }
}
