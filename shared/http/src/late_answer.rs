//! Late whole answers behind Amazon API Gateway, which cuts a response that is silent for five minutes.
//!
//! Before that the response begins: status 200, and a space from time to time, which JSON allows before a value. An error after
//! that keeps its body, but no longer has a status. The status that it would have had is logged and counted, as that of a
//! second request: the first line has the 200.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    extract::{MatchedPath, Request},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use futures::{StreamExt as _, future::BoxFuture};
use hearth_telemetry::traces::TraceContext;
use http::{HeaderValue, StatusCode, header::CONTENT_TYPE};
use tokio::time::timeout;

use crate::{
    access_log,
    error::{self, HttpError},
    request_id::RequestId,
    route_metrics,
};

/// Longest silence before a response begins. API Gateway's limit is five minutes.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(240);
/// Interval of the spaces after that.
const SPACE_INTERVAL: Duration = Duration::from_secs(30);

/// Mark of a request whose response is one JSON document, in the request's extensions. A handler sets it before it waits.
#[derive(Debug, Clone, Default)]
pub struct WholeAnswer(Arc<AtomicBool>);

impl WholeAnswer {
    /// Lets the response begin before the document is there.
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Middleware that begins the response to a request with [`WholeAnswer`] when its document is late.
pub(crate) async fn begin_late_answers(mut request: Request, next: Next) -> Response {
    let whole = WholeAnswer::default();
    request.extensions_mut().insert(whole.clone());
    let origin = Origin::of(&request);
    let mut answer: BoxFuture<'static, Response> = Box::pin(next.run(request));
    loop {
        match timeout(SILENCE_TIMEOUT, &mut answer).await {
            Ok(response) => return response,
            Err(_) if whole.is_set() => return begin(answer, origin, SPACE_INTERVAL),
            Err(_) => {}
        }
    }
}

/// The request's identity, for a log line of its failure.
struct Origin {
    id: Option<RequestId>,
    method: &'static str,
    route: Option<MatchedPath>,
    trace_id: Option<String>,
}

impl Origin {
    fn of(request: &Request) -> Self {
        let extensions = request.extensions();
        Self {
            id: extensions.get().copied(),
            method: access_log::method_label(request.method()),
            route: extensions.get().cloned(),
            trace_id: extensions.get().and_then(TraceContext::trace_id),
        }
    }

    /// Logs and counts a response that has failed after its head was sent.
    fn log_failure(&self, response: &Response) {
        let route = self.route.as_ref().map_or("none", MatchedPath::as_str);
        let status = response.status().as_u16();
        // In the cloud `telemetry` adds metrics to the line, as to a request's.
        tracing::error!(
            name: "request",
            request_id = self.id.map(|id| id.0.to_string()),
            trace_id = self.trace_id,
            method = self.method,
            route,
            status,
            code = response.extensions().get::<HttpError>().map(|error| error.0.code.as_str()),
            server_error = u8::from(access_log::is_server_error(response)),
            "a late answer has failed after its response had begun"
        );
        route_metrics::requests(self.method, route, status).increment(1);
    }
}

/// A response with spaces until `answer` is there, and then with its body.
fn begin(mut answer: BoxFuture<'static, Response>, origin: Origin, space_interval: Duration) -> Response {
    let body = async_stream::stream! {
        let response = loop {
            match timeout(space_interval, &mut answer).await {
                Ok(response) => break response,
                Err(_) => yield Ok::<_, axum::Error>(Bytes::from_static(b" ")),
            }
        };
        if response.status() != StatusCode::OK {
            origin.log_failure(&response);
        }
        let response = match origin.id {
            Some(id) => error::write_body(response, id),
            None => response,
        };
        let mut pieces = response.into_body().into_data_stream();
        while let Some(piece) = pieces.next().await {
            yield piece;
        }
    };
    ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], Body::from_stream(body)).into_response()
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;
    use hearth_domain::RunId;
    use hearth_wire::{ApiError, ErrorCode};
    use serde_json::{Value, json};

    use super::*;
    use crate::HttpError;

    async fn begun(answer: impl Future<Output = Response> + Send + 'static) -> (u16, Bytes) {
        let later = async {
            // Late by a few intervals.
            tokio::time::sleep(Duration::from_millis(20)).await;
            answer.await
        };
        let mut request = Request::new(Body::empty());
        request.extensions_mut().insert(RequestId(RunId::new()));
        let response = begin(Box::pin(later), Origin::of(&request), Duration::from_millis(2));
        (response.status().as_u16(), to_bytes(response.into_body(), 1 << 20).await.unwrap())
    }

    #[tokio::test]
    async fn late_answer_is_json_after_spaces() {
        let (status, body) = begun(async { axum::Json(json!({"text": "at last"})).into_response() }).await;
        assert_eq!(status, 200);
        assert!(body.starts_with(b" "), "{body:?}");
        assert_eq!(serde_json::from_slice::<Value>(&body).unwrap(), json!({"text": "at last"}));
    }

    #[tokio::test]
    async fn late_error_has_its_body_and_is_counted_with_its_status() {
        hearth_telemetry::metrics::install();
        let failed = async { HttpError(ApiError::new(ErrorCode::RunTimeout, "too long")).into_response() };
        let (status, body) = begun(failed).await;
        assert_eq!(status, 200);
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            (&body["error"]["code"], &body["error"]["retryable"]),
            (&json!("run_timeout"), &json!(false))
        );
        let counted = hearth_telemetry::metrics::render();
        let sample = r#"hearth_requests_total{method="GET",route="none",status="504"} 1"#;
        assert!(counted.contains(sample), "{counted}");
    }

    #[tokio::test]
    async fn answer_in_time_is_unchanged() {
        let router = axum::Router::new()
            .route("/", axum::routing::get(async || StatusCode::NOT_FOUND))
            .layer(axum::middleware::from_fn(begin_late_answers));
        let request = Request::get("/").body(Body::empty()).unwrap();
        let response = tower::ServiceExt::oneshot(router, request).await.unwrap();
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
    }
}
