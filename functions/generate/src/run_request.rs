//! The request for a run, and the forms of its response: a stream, one piece, or 202 and the answer later.

use std::time::Duration;

use axum::{
    Extension, Json,
    extract::FromRequestParts,
    http::request::Parts,
    response::{IntoResponse as _, Response},
};
use futures::Stream;
use hearth_domain::{CacheControl, ClientDialect, Generation, OnDisconnect, RunId};
use hearth_gateway::{
    Caller, Conversation, Delivery, Gateway, RunStream, analyze::AnalysisContext, pin_in_place,
    sessions::TurnRequest,
};
use hearth_http::{
    AppState, Deadline, HttpError, RequestId, WholeAnswer, cache_control, json_array, ndjson, prefer_async,
    rate_headers::with_rate,
    response_headers::{with_cache, with_definitions, with_hints, with_run},
    sse,
};
use hearth_telemetry::traces::{self, TraceContext};
use hearth_wire::{
    ApiError,
    native::requests::AcceptedRequest,
    openai::responses::ResponsesRenderer,
    option_hints::option_hints,
    stream::{Frame, Framing, Render},
};

/// Interval of keep-alive frames in a stream that has no comments. Proxies close silent connections.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// The caller of a request for a run, and the options in its headers.
#[derive(Debug, Clone)]
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
    /// The turn of a session that the run is.
    turn: Option<Box<TurnRequest>>,
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
        let (gateway, turn) = (state.gateway.clone(), None);
        Ok(Self { gateway, caller, id, prefers_async, cache, deadline, whole, trace, turn })
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
        renderer: impl Render,
        delivery: Delivery,
    ) -> Result<Response, HttpError> {
        // In a box of its own: axum copies a handler's future several times.
        pin_in_place(|| self.run_and_respond(generation, conversation, renderer, delivery)).await
    }

    async fn run_and_respond(
        self,
        generation: Generation,
        conversation: Option<Conversation>,
        mut renderer: impl Render,
        delivery: Delivery,
    ) -> Result<Response, HttpError> {
        let hints = option_hints(&generation.extra);
        let run = match self.start(generation, delivery, conversation).await? {
            Started::Streaming(run) => run,
            Started::Accepted(response) => return Ok(with_hints(response, &hints)),
        };
        let (cache, rate, definitions) = (run.cache, run.rate, run.definitions.clone());
        if let Some(definitions) = &definitions {
            renderer.note_definitions(definitions);
        }
        let with_definitions = |response| with_definitions(response, definitions.as_deref());
        if delivery == Delivery::Stream {
            let begun: Vec<_> = run.begun().cloned().collect();
            let response = with_hints(with_run(stream(run, renderer), &begun), &hints);
            return Ok(with_definitions(with_rate(with_cache(response, cache), rate)));
        }
        let events = run.collect_observed(|event| renderer.observe(event)).await;
        let answer = with_hints(Json(renderer.into_answer(&events)?).into_response(), &hints);
        Ok(with_definitions(with_rate(with_cache(with_run(answer, &events), cache), rate)))
    }

    /// Runs `generation` without its client, and responds with the response as it is at the run's beginning.
    pub(crate) async fn respond_in_background(
        self,
        generation: Generation,
        conversation: Conversation,
        renderer: ResponsesRenderer,
    ) -> Result<Response, HttpError> {
        let hints = option_hints(&generation.extra);
        let run = match self.start(generation, Delivery::Stream, Some(conversation)).await? {
            Started::Streaming(run) => run,
            Started::Accepted(response) => return Ok(with_hints(response, &hints)),
        };
        let begun: Vec<_> = run.begun().cloned().collect();
        let response = with_hints(Json(renderer.into_begun(&begun)).into_response(), &hints);
        let response = with_definitions(response, run.definitions.as_deref());
        Ok(with_rate(with_cache(with_run(response, &begun), run.cache), run.rate))
    }

    /// The request for the next run of the same caller, over a socket.
    pub(crate) fn next(&self) -> Self {
        let trace = TraceContext::default();
        let (prefers_async, cache, whole, turn) = (false, None, None, None);
        Self { id: RunId::new(), prefers_async, cache, whole, trace, turn, ..self.clone() }
    }

    /// The same, as a turn of a session.
    pub(crate) fn in_session(self, turn: TurnRequest) -> Self {
        Self { turn: Some(Box::new(turn)), ..self }
    }

    /// True if the response is 202, and the run goes on.
    pub(crate) fn is_async(&self) -> bool {
        // A preference may be ignored (RFC 7240, section 2): where no run outlives the response, the client waits.
        self.prefers_async && self.gateway.outlives_response()
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
        let (gateway, caller, trace) = (&self.gateway, &self.caller, &self.trace);
        // A native request was checked as its client has sent it.
        if generation.extra.dialect != ClientDialect::Native {
            gateway.check_generation(caller, &generation).await?;
        }
        match &self.turn {
            None => gateway.generate_in_trace(caller, id, generation, delivery, trace).await,
            Some(turn) => {
                let turn = TurnRequest::clone(turn);
                // Boxed: the future is large, and few requests are turns.
                Box::pin(gateway.generate_turn(caller, id, turn, generation, delivery, trace)).await
            }
        }
    }

    /// The circumstances of the request for an analysis, which is answered in one piece.
    pub(crate) fn analysis_context(&self) -> AnalysisContext {
        if let Some(whole) = &self.whole {
            whole.set();
        }
        AnalysisContext {
            cache: self.cache,
            deadline: self.deadline.map(|Deadline(deadline)| deadline),
            trace: self.trace.clone(),
            ..AnalysisContext::new(self.id)
        }
    }

    /// Starts `generation`, for a client that waits for it or prefers to read it later. `conversation`: as in
    /// [`RunRequest::respond_to_turn`].
    pub(crate) async fn start(
        &self,
        mut generation: Generation,
        delivery: Delivery,
        conversation: Option<Conversation>,
    ) -> Result<Started, ApiError> {
        let is_async = self.is_async();
        if is_async && !generation.on_disconnect.outlives_client() {
            generation.on_disconnect = OnDisconnect::Continue;
        }
        let on_disconnect = generation.on_disconnect;
        let mut run = self.run(generation, delivery).await?;
        if let Some(conversation) = conversation {
            run = self.gateway.keep_conversation(&self.caller, run, conversation, on_disconnect).await?;
        }
        if is_async {
            let accepted = AcceptedRequest::new(run.id, run.state(), run.queue_position());
            let response = with_cache(prefer_async::accepted(accepted), run.cache);
            let response = with_definitions(response, run.definitions.as_deref());
            return Ok(Started::Accepted(with_rate(response, run.rate)));
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
        let mut frames = Vec::new();
        while let Some(event) = run.next().await {
            renderer.append_frames(&event, &mut frames);
            for frame in frames.drain(..) {
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
        let mut frames = Vec::new();
        loop {
            match tokio::time::timeout(KEEP_ALIVE_INTERVAL, run.next()).await {
                Ok(None) => break,
                Ok(Some(event)) => {
                    renderer.append_frames(&event, &mut frames);
                    for frame in frames.drain(..) {
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
