//! Requests to a node at its address. Each has a JWT for this node, run, call and body.

use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::{StreamExt as _, stream::BoxStream};
use hearth_auth::LinkSigner;
use hearth_domain::{NodeId, NodeTransport, RunId};
use hearth_telemetry::traces::TraceContext;
use hearth_wire::{
    ApiError, ErrorCode, RunEvent, RunEventBody,
    json_body::{parse_bytes, parse_text},
    node::{NodeCancelled, NodeRun},
    node_limits::{EVENT_MAX_BYTES, error_of_node},
};
use reqwest::{
    Method, Response, Url,
    header::{CONTENT_TYPE, HeaderMap},
};

use super::{
    CHALLENGE_PATH, refused, stop_run,
    transport::{LinkEvents, LinkRequest, LinkResponse, LinkTransport},
    within,
};
use crate::{framing::SseReader, transport_error};

/// Timeout for the first byte of a stream.
const FIRST_BYTE_TIMEOUT: Duration = Duration::from_secs(15);
/// Limit of the bytes of an answer that isn't streamed: the largest is a status.
pub(super) const ANSWER_MAX_BYTES: usize = 16 << 20;
/// Limit of the bytes of an event of a stream, with the names of its fields.
const EVENT_FRAME_MAX_BYTES: usize = EVENT_MAX_BYTES + (1 << 10);
/// Limit of the bytes of the answer to a challenge: it is a signature.
const CHALLENGE_ANSWER_MAX_BYTES: usize = 4 << 10;

/// The transport to a node at an address.
#[derive(Clone)]
pub(super) struct DirectTransport {
    node: NodeId,
    url: String,
    http: reqwest::Client,
    signer: LinkSigner,
}

impl std::fmt::Debug for DirectTransport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DirectTransport({})", self.url)
    }
}

impl DirectTransport {
    pub(super) fn new(node: NodeId, url: &str, http: reqwest::Client, signer: LinkSigner) -> Self {
        Self { node, url: url.trim_end_matches('/').to_owned(), http, signer }
    }

    async fn send(&self, request: LinkRequest, trace: &TraceContext) -> Result<Response, ApiError> {
        let LinkRequest { method, path, about, body } = request;
        let call = format!("{method} {path}");
        let credential = self.signer.sign(&self.node.to_string(), &about, &call, &body);
        let credential = credential.map_err(|error| ApiError::new(ErrorCode::Internal, error.to_string()))?;
        let mut headers = HeaderMap::new();
        trace.write_headers(&mut headers);
        let request = self.http.request(method, format!("{}{path}", self.url)).bearer_auth(credential);
        let request = request.headers(headers).header(CONTENT_TYPE, "application/json").body(body);
        request.send().await.map_err(|error| offline(&error))
    }

    async fn stream(
        &self,
        run: RunId,
        after: u64,
        request: LinkRequest,
        trace: &TraceContext,
    ) -> Result<LinkEvents, ApiError> {
        let response = within(FIRST_BYTE_TIMEOUT, self.send(request, trace)).await?;
        let mut events = events_of(response, EVENT_FRAME_MAX_BYTES).await.map_err(error_of_node)?;
        let (node, mut last_seq) = (self.clone(), after);
        let events = async_stream::stream! {
            while let Some(event) = events.next().await {
                match event {
                    Ok(event) => {
                        last_seq = event.seq;
                        yield event;
                    }
                    // The node would send it again to each resumption.
                    Err(error) => {
                        stop_run(&node, run).await;
                        let body = RunEventBody::Error { error: refused(&error) };
                        yield RunEvent { seq: last_seq.saturating_add(1), body };
                        return;
                    }
                }
            }
        };
        Ok(events.boxed())
    }
}

#[async_trait]
impl LinkTransport for DirectTransport {
    fn kind(&self) -> NodeTransport {
        NodeTransport::Direct
    }

    fn server_address(&self) -> Option<String> {
        Url::parse(&self.url).ok()?.host_str().map(str::to_owned)
    }

    async fn request(&self, request: LinkRequest) -> Result<LinkResponse, ApiError> {
        let max_bytes = match request.path.starts_with(CHALLENGE_PATH) {
            true => CHALLENGE_ANSWER_MAX_BYTES,
            false => ANSWER_MAX_BYTES,
        };
        read(self.send(request, &TraceContext::default()).await?, max_bytes).await
    }

    async fn start(&self, run: &NodeRun, trace: &TraceContext) -> Result<LinkEvents, ApiError> {
        self.stream(run.run, 0, start_request(run)?, trace).await
    }

    async fn events(&self, run: RunId, after: u64, trace: &TraceContext) -> Result<LinkEvents, ApiError> {
        self.stream(run, after, events_request(run, after), trace).await
    }

    async fn cancel(&self, run: RunId) -> Result<bool, ApiError> {
        was_cancelled(self.request(cancel_request(run)).await?)
    }
}

/// The request that starts a run.
pub(super) fn start_request(run: &NodeRun) -> Result<LinkRequest, ApiError> {
    let body =
        serde_json::to_vec(run).map_err(|error| ApiError::new(ErrorCode::Internal, error.to_string()))?;
    let path = "/v1/runs".to_owned();
    Ok(LinkRequest { method: Method::POST, path, about: run.run.to_string(), body: body.into() })
}

/// The request for the events of a run after a number.
pub(super) fn events_request(run: RunId, after: u64) -> LinkRequest {
    let path = format!("/v1/runs/{run}/events?after={after}");
    LinkRequest { method: Method::GET, path, about: run.to_string(), body: Bytes::new() }
}

/// The request that stops a run.
pub(super) fn cancel_request(run: RunId) -> LinkRequest {
    let path = format!("/v1/runs/{run}/cancel");
    LinkRequest { method: Method::POST, path, about: run.to_string(), body: Bytes::new() }
}

pub(super) fn was_cancelled(response: LinkResponse) -> Result<bool, ApiError> {
    let body = response.into_success()?.body;
    let answer = parse_bytes::<NodeCancelled>(&body);
    let answer = answer.map_err(|error| ApiError::new(ErrorCode::ProviderError, error.to_string()))?;
    Ok(answer.cancelled)
}

/// Reads a response whole. A node whose response is larger than `max_bytes` counts as one that can't be reached.
pub(super) async fn read(mut response: Response, max_bytes: usize) -> Result<LinkResponse, ApiError> {
    let (status, mut body) = (response.status(), BytesMut::new());
    while let Some(bytes) = response.chunk().await.map_err(|error| offline(&error))? {
        if body.len() + bytes.len() > max_bytes {
            let message = format!("the node's answer has more than {} KiB", max_bytes >> 10);
            return Err(ApiError::new(ErrorCode::NodeOffline, message));
        }
        body.extend_from_slice(&bytes);
    }
    Ok(LinkResponse { status, body: body.freeze() })
}

/// The events of a response of server-sent events, of at most `event_max_bytes` each, and an error at the end if there is a
/// larger one; the node's error if the response is none.
pub(super) async fn events_of(
    response: Response,
    event_max_bytes: usize,
) -> Result<BoxStream<'static, Result<RunEvent, ApiError>>, ApiError> {
    if !response.status().is_success() {
        return match read(response, ANSWER_MAX_BYTES).await?.into_success() {
            Err(error) => Err(error),
            Ok(_) => Err(ApiError::new(ErrorCode::ProviderError, "the node's answer has no events")),
        };
    }
    let events = async_stream::stream! {
        let (mut body, mut reader) = (response.bytes_stream(), SseReader::with_max_bytes(event_max_bytes));
        while let Some(Ok(bytes)) = body.next().await {
            let mut frames = Vec::new();
            let read = reader.push(&bytes, &mut frames);
            for frame in frames {
                let Ok(event) = parse_text::<RunEvent>(&frame.data) else { continue };
                yield Ok(event);
            }
            if let Err(error) = read {
                yield Err(error);
                return;
            }
        }
    };
    Ok(events.boxed())
}

/// The error for a request without a response.
fn offline(error: &reqwest::Error) -> ApiError {
    let reason = transport_error::reason(error);
    tracing::warn!(reason, "a node can't be reached");
    let message = format!("the node that has the model can't be reached ({reason}); is it running?");
    ApiError::new(ErrorCode::NodeOffline, message)
}
