//! The outermost layer: gives the request its id, logs it, counts it, and writes its error.

use std::time::Instant;

use axum::{
    extract::{MatchedPath, Request},
    middleware::Next,
    response::Response,
};
use hearth_domain::RunId;

use crate::{RequestId, error, no_route, request_id};

/// Wraps every request. Latency is to the head of the answer; a stream's own time is its run's.
pub(crate) async fn layer(mut request: Request, next: Next) -> Response {
    let id = RequestId(RunId::new());
    request.extensions_mut().insert(id);
    let method = request.method().clone();
    // The route, and not the path: ids and queries aren't for logs and labels. A path that no route has is logged, as
    // far as it can be: it is how a wrong base URL is seen.
    let route = request.extensions().get::<MatchedPath>().map(|route| route.as_str().to_owned());
    let path = route.is_none().then(|| no_route::loggable(request.uri().path()));
    let route = route.unwrap_or_else(|| "none".to_owned());
    let began = Instant::now();
    let mut response = error::write_envelope(next.run(request).await, id);
    if let Some(value) = id.header() {
        response.headers_mut().insert(request_id::HEADER, value);
    }
    let (latency, status) = (began.elapsed(), response.status().as_u16());
    let code = response.extensions().get::<error::HttpError>().map(|error| error.0.code.as_str());
    tracing::info!(
        request_id = %id.0,
        %method,
        route,
        path,
        status,
        code,
        latency_ms = latency.as_secs_f64() * 1000.0,
        "request"
    );
    let labels = [("method", method.to_string()), ("route", route.clone()), ("status", status.to_string())];
    metrics::counter!("hearth_requests_total", &labels).increment(1);
    metrics::histogram!("hearth_request_seconds", "route" => route).record(latency);
    response
}
