//! The handlers of the node link.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode},
    response::{
        IntoResponse, Response, Sse,
        sse::{Event, KeepAlive},
    },
};
use futures::StreamExt as _;
use hearth_domain::RunId;
use hearth_telemetry::traces::{Span, SpanKind, TraceContext};
use hearth_wire::{
    ApiError, ErrorCode,
    native::requests::EventsQuery,
    node::{
        NodeCancelled, NodeChallengeAnswer, NodeCountBody, NodeModelCommand, NodeModelSettings, NodeRun,
        NodeWakeCommand,
    },
};
use serde::Deserialize;

use super::json_body::JsonBody;
use crate::{
    link::NodeIdentity,
    supervisor::{Node, RunLog},
};

/// Time between two keep-alive comments in a stream without events.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// An error of the link: an API error without its envelope.
#[derive(Debug)]
pub(super) struct LinkError(pub(super) ApiError);

impl From<ApiError> for LinkError {
    fn from(error: ApiError) -> Self {
        Self(error)
    }
}

impl IntoResponse for LinkError {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, Json(self.0)).into_response()
    }
}

pub(super) async fn status(State(node): State<Node>) -> Result<Response, LinkError> {
    Ok(Json(node.status().await?).into_response())
}

/// The gateway's challenge.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ChallengeQuery {
    nonce: String,
}

pub(super) async fn answer_challenge(
    State(identity): State<Arc<NodeIdentity>>,
    Query(ChallengeQuery { nonce }): Query<ChallengeQuery>,
) -> Response {
    let signature = identity.key.sign_challenge(&identity.node.to_string(), &nonce);
    Json(NodeChallengeAnswer { signature }).into_response()
}

pub(super) async fn submit(
    State(node): State<Node>,
    headers: HeaderMap,
    JsonBody(run): JsonBody<NodeRun>,
) -> Result<Response, LinkError> {
    let mut span = Span::root(&TraceContext::from_headers(&headers), SpanKind::Server, "POST /v1/runs");
    if span.is_recorded() {
        span.set("http.request.method", "POST");
        span.set("http.route", "/v1/runs");
        span.set("hearth.run.id", run.run.to_string());
        span.set("gen_ai.request.model", run.model.clone());
    }
    let log = node.submit_in_trace(run, span).await?;
    stream(&log, 0)
}

pub(super) async fn events(
    State(node): State<Node>,
    Path(id): Path<RunId>,
    Query(query): Query<EventsQuery>,
) -> Result<Response, LinkError> {
    let log = node.log(id).await?;
    let log = log.ok_or_else(|| ApiError::new(ErrorCode::NotFound, "the node has no such run"))?;
    stream(&log, query.after.unwrap_or(0))
}

pub(super) async fn cancel(State(node): State<Node>, Path(id): Path<RunId>) -> Result<Response, LinkError> {
    let cancelled = node.cancel(id).await?;
    Ok(Json(NodeCancelled { cancelled }).into_response())
}

pub(super) async fn load(
    State(node): State<Node>,
    JsonBody(command): JsonBody<NodeModelCommand>,
) -> Result<StatusCode, LinkError> {
    node.load(command.model).await?;
    Ok(StatusCode::ACCEPTED)
}

pub(super) async fn count_tokens(
    State(node): State<Node>,
    JsonBody(body): JsonBody<NodeCountBody>,
) -> Result<Response, LinkError> {
    Ok(Json(node.count_tokens(body).await?).into_response())
}

pub(super) async fn wake(
    State(node): State<Node>,
    JsonBody(command): JsonBody<NodeWakeCommand>,
) -> Result<StatusCode, LinkError> {
    node.wake(&command.mac).await?;
    Ok(StatusCode::ACCEPTED)
}

pub(super) async fn unload(
    State(node): State<Node>,
    JsonBody(command): JsonBody<NodeModelCommand>,
) -> Result<StatusCode, LinkError> {
    node.unload(command.model).await?;
    Ok(StatusCode::ACCEPTED)
}

pub(super) async fn configure(
    State(node): State<Node>,
    JsonBody(settings): JsonBody<NodeModelSettings>,
) -> Result<StatusCode, LinkError> {
    node.configure(settings).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn remove(
    State(node): State<Node>,
    JsonBody(command): JsonBody<NodeModelCommand>,
) -> Result<Response, LinkError> {
    Ok(Json(node.remove(command.model).await?).into_response())
}

fn stream(log: &Arc<RunLog>, after: u64) -> Result<Response, LinkError> {
    let events = log.read(after).map_err(|e| ApiError::new(ErrorCode::Conflict, e.to_string()))?;
    let frames =
        events.map(|event| Ok::<_, Infallible>(Event::default().id(event.seq.to_string()).data(event.json)));
    Ok(Sse::new(frames).keep_alive(KeepAlive::new().interval(KEEP_ALIVE_INTERVAL)).into_response())
}
