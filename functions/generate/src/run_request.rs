//! The request for a run, and the forms of its response: a stream, one piece, or 202 and the answer later.

use std::time::Duration;

use axum::{
    Extension, Json,
    extract::FromRequestParts,
    http::request::Parts,
    response::{IntoResponse as _, Response},
};
use futures::Stream;
use hearth_domain::{CacheControl, Generation, OnDisconnect, RunId};
use hearth_gateway::{Caller, Conversation, Delivery, Gateway, RunStream};
use hearth_http::{
    AppState, Deadline, HttpError, RequestId, WholeAnswer, cache_control, json_array, ndjson, prefer_async,
    response_headers::{with_cache, with_run},
    sse,
};
use hearth_telemetry::traces::{self, TraceContext};
use hearth_wire::{
    ApiError,
    native::requests::AcceptedRequest,
    stream::{Frame, Framing, Render},
};

/// Interval of keep-alive frames in a stream that has no comments. Proxies close silent connections.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// The caller of a request for a run, and the options in its headers.
#[derive(Debug)]
pub(crate) struct RunRequest {
    pub(crate) gateway: Gateway,
    pub(crate) caller: Caller,
    /// The id of the request, and of its run.
    pub(crate) id: RunId,
    /// The client prefers to read the answer later.
    prefers_async: bool,
    /// The header's use of the cache. One in the body comes before it.
    cache: Option<CacheControl>,
    /// Time by which the run must end.
    deadline: Option<Deadline>,
    /// Mark for a request that is answered in one piece.
    whole: Option<WholeAnswer>,
    /// The position in the request's trace.
    trace: TraceContext,
}

/// A run that has started.
pub(crate) enum Started {
    /// The client waits for its events.
    Streaming(RunStream),
    /// The client gets 202, and the run goes on.
    Accepted(Response),
}

impl FromRequestParts<AppState> for RunRequest {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Response> {
        let extensions = <(Extension<Caller>, Extension<RequestId>)>::from_request_parts(parts, state);
        let (Extension(caller), Extension(RequestId(id))) =
            extensions.await.map_err(axum::response::IntoResponse::into_response)?;
        let prefers_async = prefer_async::prefers_async(&parts.headers);
        let cache =
            cache_control::requested(&parts.headers).map_err(|error| HttpError(error).into_response())?;
        let deadline = parts.extensions.get().copied();
        let whole = parts.extensions.get().cloned();
        let trace = if traces::is_on() { parts.extensions.get().cloned() } else { None }.unwrap_or_default();
        Ok(Self { gateway: state.gateway.clone(), caller, id, prefers_async, cache, deadline, whole, trace })
    }
}

impl RunRequest {
    /// Runs `generation`, and responds with its events as `renderer` shows them.
    pub(crate) async fn respond(
        self,
        generation: Generation,
        renderer: impl Render,
        delivery: Delivery,
    ) -> Result<Response, HttpError> {
        self.respond_to_turn(generation, None, renderer, delivery).await
    }

    /// The same for a turn of a conversation. `conversation`: the messages before it, if it is to be stored.
    pub(crate) async fn respond_to_turn(
        self,
        generation: Generation,
        conversation: Option<Conversation>,
        mut renderer: impl Render,
        delivery: Delivery,
    ) -> Result<Response, HttpError> {
        let run = match self.start(generation, delivery, conversation).await? {
            Started::Streaming(run) => run,
            Started::Accepted(response) => return Ok(response),
        };
        let cache = run.cache;
        if delivery == Delivery::Stream {
            let begun: Vec<_> = run.begun().cloned().collect();
            return Ok(with_cache(with_run(stream(run, renderer), &begun), cache));
        }
        let events = run.collect_observed(|event| renderer.observe(event)).await;
        let answer = Json(renderer.into_answer(&events)?).into_response();
        Ok(with_cache(with_run(answer, &events), cache))
    }

    /// Runs `generation`.
    pub(crate) async fn run(
        &self,
        generation: Generation,
        delivery: Delivery,
    ) -> Result<RunStream, ApiError> {
        self.run_as(self.id, generation, delivery).await
    }

    /// Runs `generation` under the id `id`: a request may have several runs.
    pub(crate) async fn run_as(
        &self,
        id: RunId,
        mut generation: Generation,
        delivery: Delivery,
    ) -> Result<RunStream, ApiError> {
        if let (CacheControl::Auto, Some(control)) = (generation.cache, self.cache) {
            generation.cache = control;
        }
        generation.deadline = self.deadline.map(|Deadline(deadline)| deadline);
        if let Some(whole) = self.whole.as_ref().filter(|_| delivery == Delivery::Whole) {
            whole.set();
        }
        self.gateway.generate_in_trace(&self.caller, id, generation, delivery, &self.trace).await
    }

    /// Starts `generation`, for a client that waits for it or prefers to read it later. `conversation`: as in
    /// [`RunRequest::respond_to_turn`].
    pub(crate) async fn start(
        &self,
        mut generation: Generation,
        delivery: Delivery,
        conversation: Option<Conversation>,
    ) -> Result<Started, ApiError> {
        // A preference may be ignored (RFC 7240, section 2): where no run outlives the response, the client waits.
        let is_async = self.prefers_async && self.gateway.outlives_response();
        if is_async {
            generation.on_disconnect = OnDisconnect::Continue;
        }
        let on_disconnect = generation.on_disconnect;
        let mut run = self.run(generation, delivery).await?;
        if let Some(conversation) = conversation {
            run = self.gateway.keep_conversation(&self.caller, run, conversation, on_disconnect).await?;
        }
        if is_async {
            let accepted = AcceptedRequest::new(run.id, run.state(), run.queue_position());
            return Ok(Started::Accepted(with_cache(prefer_async::accepted(accepted), run.cache)));
        }
        Ok(Started::Streaming(run))
    }
}

fn stream(run: RunStream, renderer: impl Render) -> Response {
    match renderer.framing() {
        Framing::ServerSentEvents => sse::respond(events(run, renderer)),
        Framing::QuietEvents => sse::respond_without_comments(events(run, renderer)),
        Framing::JsonArray => json_array::respond(events(run, renderer)),
        Framing::JsonLines => ndjson::respond(lines(run, renderer)),
    }
}

fn events(mut run: RunStream, mut renderer: impl Render) -> impl Stream<Item = Frame> {
    async_stream::stream! {
        while let Some(event) = run.next().await {
            for frame in renderer.frames(&event) {
                yield frame;
            }
        }
        if let Some(frame) = renderer.final_frame() {
            yield frame;
        }
    }
}

/// The frames of a stream that has no comments: a silent one sends empty frames as keep-alive.
fn lines(mut run: RunStream, mut renderer: impl Render) -> impl Stream<Item = Frame> {
    async_stream::stream! {
        loop {
            match tokio::time::timeout(KEEP_ALIVE_INTERVAL, run.next()).await {
                Ok(None) => break,
                Ok(Some(event)) => {
                    for frame in renderer.frames(&event) {
                        yield frame;
                    }
                }
                Err(_) => {
                    if let Some(frame) = renderer.keep_alive() {
                        yield frame;
                    }
                }
            }
        }
        if let Some(frame) = renderer.final_frame() {
            yield frame;
        }
    }
}
