//! Calls: requests of the gateway that aren't runs, answered by the routes of the node link.

use std::{collections::VecDeque, sync::Arc};

use axum::body::{Body, to_bytes};
use hearth_domain::NodeCallId;
use hearth_wire::{
    ApiError, ErrorCode,
    relay::{NodeCall, NodeCallAnswer},
};
use reqwest::{Method, StatusCode, header::CONTENT_TYPE};
use serde_json::Value;
use tower::ServiceExt as _;

use super::{Link, backoff::Backoff, lock};
use crate::server::local_router;

/// Beginning of the paths of runs, which are no calls: they have a way of their own.
const RUNS_PATH: &str = "/v1/runs";
/// Ids of calls that are remembered, so that none is carried out twice.
const REMEMBERED_MAX_COUNT: usize = 1024;
/// Maximum bytes of an answer.
const ANSWER_MAX_BYTES: usize = 16 << 20;
/// Number of times that an answer is sent until the gateway has it.
const ANSWER_ATTEMPTS_MAX_COUNT: usize = 6;

/// The calls that were begun, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Calls(std::sync::Mutex<VecDeque<NodeCallId>>);

impl Calls {
    /// Carries out a call, unless it was begun before. Returns whether it was new.
    pub(super) fn start(&self, link: &Arc<Link>, call: NodeCall) -> bool {
        let mut begun = lock(&self.0);
        if begun.contains(&call.id) {
            return false;
        }
        if begun.len() >= REMEMBERED_MAX_COUNT {
            begun.pop_front();
        }
        begun.push_back(call.id);
        drop(begun);
        let link = Arc::clone(link);
        link.clone().tasks.spawn(async move { answer(&link, call).await });
        true
    }
}

async fn answer(link: &Link, call: NodeCall) {
    let id = call.id;
    let result = tokio::time::timeout(link.timing.call_timeout, carry_out(link, call)).await;
    let answer = result.unwrap_or_else(|_| refused(ErrorCode::ProviderTimeout, "the node took too long"));
    // The status may have changed: the gateway learns it with the next report.
    link.status_check.notify_one();
    let (path, timing) = (format!("/v1/node/calls/{id}/answer"), &link.timing);
    let mut backoff = Backoff::new(timing.retry_min, timing.run_retry_max);
    for _ in 0..ANSWER_ATTEMPTS_MAX_COUNT {
        match link.client.post::<Value>(&path, &answer, timing.request_timeout).await {
            Ok(_) => return,
            Err(failure) if failure.is_transient() => link.note_failure(&failure),
            Err(failure) => return tracing::warn!(%id, %failure, "the answer to a call was refused"),
        }
        backoff.wait().await;
    }
}

async fn carry_out(link: &Link, call: NodeCall) -> NodeCallAnswer {
    let (method, path) = call.call.split_once(' ').unwrap_or_default();
    let method = if method == "GET" { Method::GET } else { Method::POST };
    if path.starts_with(RUNS_PATH) {
        return refused(
            ErrorCode::NotFound,
            "a run isn't started by a call; is the gateway of another version?",
        );
    }
    let body = if call.body.is_null() { Body::empty() } else { Body::from(call.body.to_string()) };
    let request = axum::http::Request::builder().method(method).uri(path);
    let Ok(request) = request.header(CONTENT_TYPE, "application/json").body(body) else {
        return refused(ErrorCode::InvalidRequest, "the call can't be read");
    };
    let answer = local_router(link.node.clone()).oneshot(request).await;
    let answer = answer.unwrap_or_else(|never| match never {});
    let status = answer.status().as_u16();
    match to_bytes(answer.into_body(), ANSWER_MAX_BYTES).await {
        Ok(body) => NodeCallAnswer { status, body: serde_json::from_slice(&body).unwrap_or_default() },
        Err(_) => refused(ErrorCode::Internal, "the node's answer is too large"),
    }
}

/// An error in the form of the node link.
fn refused(code: ErrorCode, message: &str) -> NodeCallAnswer {
    let body = serde_json::to_value(ApiError::new(code, message)).unwrap_or_default();
    let status = StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    NodeCallAnswer { status: status.as_u16(), body }
}
