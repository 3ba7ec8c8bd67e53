//! Requests to a node in this process, by calls of its routes.

use async_trait::async_trait;
use futures::StreamExt as _;
use hearth_domain::{NodeTransport, RunId};
use hearth_telemetry::traces::TraceContext;
use hearth_wire::{ApiError, ErrorCode, node::NodeRun};
use reqwest::{Response, header::CONTENT_TYPE};

use super::{
    LocalNode,
    direct::{
        ANSWER_MAX_BYTES, cancel_request, events_of, events_request, read, start_request, was_cancelled,
    },
    transport::{LinkEvents, LinkRequest, LinkResponse, LinkTransport},
};
use crate::framing::FRAME_MAX_BYTES;

/// The transport to a node in this process.
#[derive(Debug, Clone)]
pub(super) struct InProcessTransport(pub(super) LocalNode);

impl InProcessTransport {
    async fn send(&self, request: LinkRequest, trace: &TraceContext) -> Result<Response, ApiError> {
        let LinkRequest { method, path, body, .. } = request;
        let request = http::Request::builder().method(method).uri(path);
        let request = request.header(CONTENT_TYPE, "application/json").body(body);
        let mut request = request.map_err(|error| ApiError::new(ErrorCode::Internal, error.to_string()))?;
        trace.write_headers(request.headers_mut());
        Ok(self.0.handle(request).await)
    }

    async fn stream(&self, request: LinkRequest, trace: &TraceContext) -> Result<LinkEvents, ApiError> {
        let events = events_of(self.send(request, trace).await?, FRAME_MAX_BYTES).await?;
        Ok(events.filter_map(async |event| event.ok()).boxed())
    }
}

#[async_trait]
impl LinkTransport for InProcessTransport {
    fn kind(&self) -> NodeTransport {
        NodeTransport::InProcess
    }

    async fn request(&self, request: LinkRequest) -> Result<LinkResponse, ApiError> {
        read(self.send(request, &TraceContext::default()).await?, ANSWER_MAX_BYTES).await
    }

    async fn start(&self, run: &NodeRun, trace: &TraceContext) -> Result<LinkEvents, ApiError> {
        self.stream(start_request(run)?, trace).await
    }

    async fn events(&self, run: RunId, after: u64, trace: &TraceContext) -> Result<LinkEvents, ApiError> {
        self.stream(events_request(run, after), trace).await
    }

    async fn cancel(&self, run: RunId) -> Result<bool, ApiError> {
        was_cancelled(self.request(cancel_request(run)).await?)
    }
}
