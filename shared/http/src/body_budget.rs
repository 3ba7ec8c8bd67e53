//! Limit of the memory that the bodies of all requests take together.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::extract::Request;
use hearth_wire::{ApiError, ErrorCode};
use http::{Extensions, HeaderMap, header::CONTENT_LENGTH};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Largest body that is accepted.
pub const BODY_MAX_BYTES: usize = 10 << 20;
/// Bodies up to this size don't count against the budget: those of all connections together are a small part of it.
const UNCOUNTED_MAX_BYTES: u64 = 64 << 10;
/// Longest time that a large body waits for memory.
const BUDGET_TIMEOUT: Duration = Duration::from_secs(10);

/// Memory for bodies: a semaphore with a permit for each KiB.
#[derive(Debug, Clone)]
pub struct BodyBudget(Arc<Semaphore>);

impl BodyBudget {
    /// Creates a budget of `bytes`.
    #[must_use]
    pub fn new(bytes: u64) -> Self {
        Self(Arc::new(Semaphore::new(kib(bytes) as usize)))
    }

    /// Adds an empty share of the budget to a request with a large body. The body's extractor acquires the memory;
    /// dropping the share releases it.
    pub(crate) fn share(&self, request: &mut Request, body_bytes: u64) -> Option<BodyShare> {
        if body_bytes <= UNCOUNTED_MAX_BYTES {
            return None;
        }
        let share = BodyShare { budget: self.clone(), permit: Arc::default() };
        request.extensions_mut().insert(share.clone());
        Some(share)
    }
}

/// Memory that a request holds of the budget.
#[derive(Debug, Clone)]
pub(crate) struct BodyShare {
    budget: BodyBudget,
    permit: Arc<Mutex<Option<OwnedSemaphorePermit>>>,
}

/// Waits until there is memory for the request's body. A request without a share passes: on Lambda, where a process
/// serves one request at a time, there is no budget.
///
/// # Errors
/// `payload_too_large` if the declared length is over the limit, and `overloaded` if other bodies hold the memory for too long.
pub(crate) async fn admit(extensions: &Extensions, headers: &HeaderMap) -> Result<(), ApiError> {
    if content_length(headers).is_some_and(|bytes| bytes > BODY_MAX_BYTES as u64) {
        return Err(too_large());
    }
    let Some(share) = extensions.get::<BodyShare>() else { return Ok(()) };
    let bytes = declared_bytes(headers);
    if bytes <= UNCOUNTED_MAX_BYTES {
        return Ok(());
    }
    let acquired = Arc::clone(&share.budget.0).acquire_many_owned(kib(bytes));
    match tokio::time::timeout(BUDGET_TIMEOUT, acquired).await {
        Ok(Ok(permit)) => {
            *share.permit.lock().unwrap_or_else(PoisonError::into_inner) = Some(permit);
            Ok(())
        }
        _ => {
            let message = "the gateway has no memory left for a body of this size; try again shortly";
            Err(ApiError::new(ErrorCode::Overloaded, message))
        }
    }
}

/// Returns the most bytes that the body may have: its declared length, or the limit of a body without one.
pub(crate) fn declared_bytes(headers: &HeaderMap) -> u64 {
    content_length(headers).unwrap_or(BODY_MAX_BYTES as u64).min(BODY_MAX_BYTES as u64)
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Returns the error of a body over the limit.
pub(crate) fn too_large() -> ApiError {
    let message = format!("the body is over the limit of {} MB", BODY_MAX_BYTES >> 20);
    ApiError::new(ErrorCode::PayloadTooLarge, message).with("limit_bytes", BODY_MAX_BYTES)
}

fn kib(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use axum::{Router, body::Body, routing::post};
    use tokio::sync::Notify;
    use tower::ServiceExt as _;

    use super::*;
    use crate::{JsonBody, RequestLayer};

    #[tokio::test]
    async fn large_body_waits_until_another_is_answered() {
        let (entered, leave) = (Arc::new(Notify::new()), Arc::new(Semaphore::new(0)));
        let handler = {
            let (entered, leave) = (Arc::clone(&entered), Arc::clone(&leave));
            async move |JsonBody(_): JsonBody<serde_json::Value>| {
                entered.notify_one();
                leave.acquire().await.unwrap().forget();
            }
        };
        let budget = BodyBudget::new(BODY_MAX_BYTES as u64);
        let layer = RequestLayer::default().with_budget(budget.clone());
        let router = Router::new().route("/", post(handler)).layer(layer);
        let send = |length: usize| {
            let body = format!("{{\"a\":\"{}\"}}", "x".repeat(length));
            let request =
                Request::post("/").header(CONTENT_LENGTH, body.len()).body(Body::from(body)).unwrap();
            tokio::spawn(router.clone().oneshot(request))
        };
        let first = send(6 << 20);
        entered.notified().await;
        let second = send(6 << 20);
        // A small body doesn't wait.
        let small = send(10);
        entered.notified().await;
        assert!(budget.0.available_permits() < 5 << 10);
        leave.add_permits(2);
        assert!(first.await.unwrap().unwrap().status().is_success());
        assert!(small.await.unwrap().unwrap().status().is_success());
        entered.notified().await;
        leave.add_permits(1);
        assert!(second.await.unwrap().unwrap().status().is_success());
        assert_eq!(budget.0.available_permits(), 10 << 10);
    }
}
