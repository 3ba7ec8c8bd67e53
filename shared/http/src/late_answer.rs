//! Late whole answers behind Amazon API Gateway, which cuts a response that is silent for five minutes.
//!
//! Before that the response begins: status 200, and a space from time to time, which JSON allows before a value. An error after
//! that keeps its body, but no longer has a status.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    extract::Request,
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use futures::{StreamExt as _, future::BoxFuture};
use http::{HeaderValue, StatusCode, header::CONTENT_TYPE};
use tokio::time::timeout;

use crate::{error, request_id::RequestId};

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
    let id = request.extensions().get().copied();
    let mut answer: BoxFuture<'static, Response> = Box::pin(next.run(request));
    loop {
        match timeout(SILENCE_TIMEOUT, &mut answer).await {
            Ok(response) => return response,
            Err(_) if whole.is_set() => return begin(answer, id, SPACE_INTERVAL),
            Err(_) => {}
        }
    }
}

/// A response with spaces until `answer` is there, and then with its body.
fn begin(
    mut answer: BoxFuture<'static, Response>,
    id: Option<RequestId>,
    space_interval: Duration,
) -> Response {
    let body = async_stream::stream! {
        let response = loop {
            match timeout(space_interval, &mut answer).await {
                Ok(response) => break response,
                Err(_) => yield Ok::<_, axum::Error>(Bytes::from_static(b" ")),
            }
        };
        let response = match id {
            Some(id) => error::write_body(response, id),
            None => response,
        };
        if response.status() != StatusCode::OK {
            tracing::warn!(status = response.status().as_u16(), "a late answer has failed after its response had begun");
        }
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
        let response = begin(Box::pin(later), Some(RequestId(RunId::new())), Duration::from_millis(2));
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
    async fn late_error_has_its_body() {
        let failed = async { HttpError(ApiError::new(ErrorCode::RunTimeout, "too long")).into_response() };
        let (status, body) = begun(failed).await;
        assert_eq!(status, 200);
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            (&body["error"]["code"], &body["error"]["retryable"]),
            (&json!("run_timeout"), &json!(false))
        );
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
