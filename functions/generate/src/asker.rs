//! Who asks for a run, and how its answer is given: in a stream, in one piece, or later.

use std::time::Duration;

use axum::{
    Extension, Json,
    extract::FromRequestParts,
    http::request::Parts,
    response::{IntoResponse as _, Response},
};
use futures::Stream;
use hearth_domain::{CacheControl, Generation, OnDisconnect, RunId};
use hearth_gateway::{Caller, Conversation, Gateway, RunStream};
use hearth_http::{AppState, HttpError, RequestId, cache, head, json_array, ndjson, queue, sse};
use hearth_wire::{
    ApiError,
    native::requests::AcceptedRequest,
    stream::{Frame, Framing, Render},
};

/// How often a stream without comments gives a sign of life: proxies cut silent ones.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// Who asks, and what the head of the request says of how.
#[derive(Debug)]
pub(crate) struct Asker {
    pub(crate) gateway: Gateway,
    pub(crate) caller: Caller,
    /// The request's id, and its run's.
    pub(crate) id: RunId,
    /// The client would rather look for the answer later.
    prefers_async: bool,
    /// What it wants of the cache, if the body doesn't say.
    cache: Option<CacheControl>,
}

/// A run that has begun.
pub(crate) enum Begun {
    /// The client waits for its events.
    Attached(RunStream),
    /// The client has its answer, and the run goes on.
    Detached(Response),
}

impl FromRequestParts<AppState> for Asker {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Response> {
        let extensions = <(Extension<Caller>, Extension<RequestId>)>::from_request_parts(parts, state);
        let (Extension(caller), Extension(RequestId(id))) =
            extensions.await.map_err(axum::response::IntoResponse::into_response)?;
        let prefers_async = queue::prefers_async(&parts.headers);
        let cache = cache::asked(&parts.headers).map_err(|error| HttpError(error).into_response())?;
        Ok(Self { gateway: state.gateway.clone(), caller, id, prefers_async, cache })
    }
}

impl Asker {
    /// Has `generation` carried out, and answers as `renderer` shows it: in a stream, if it is to be one.
    pub(crate) async fn answer(
        self,
        generation: Generation,
        renderer: impl Render,
        streams: bool,
    ) -> Result<Response, HttpError> {
        self.answer_turn(generation, None, renderer, streams).await
    }

    /// The same, for a turn of a conversation: if it is to be kept, what was `said` before it.
    pub(crate) async fn answer_turn(
        self,
        mut generation: Generation,
        said: Option<Conversation>,
        mut renderer: impl Render,
        streams: bool,
    ) -> Result<Response, HttpError> {
        generation.whole = !streams;
        let run = match self.begin(generation, said).await? {
            Begun::Attached(run) => run,
            Begun::Detached(answer) => return Ok(answer),
        };
        let cache = run.cache;
        if streams {
            let begun: Vec<_> = run.begun().cloned().collect();
            return Ok(head::cached(head::told(stream(run, renderer), &begun), cache));
        }
        let events = run.collect_observed(|event| renderer.observe(event)).await;
        let answer = Json(renderer.collected(&events)?).into_response();
        Ok(head::cached(head::told(answer, &events), cache))
    }

    /// Has `generation` carried out.
    pub(crate) async fn run(&self, generation: Generation) -> Result<RunStream, ApiError> {
        self.run_as(self.id, generation).await
    }

    /// The same, as the run `id`: a request may have several.
    pub(crate) async fn run_as(&self, id: RunId, mut generation: Generation) -> Result<RunStream, ApiError> {
        if let (CacheControl::Auto, Some(control)) = (generation.cache, self.cache) {
            generation.cache = control;
        }
        self.gateway.generate(&self.caller, id, generation).await
    }

    /// Has `generation` carried out, for a client that waits for it, or that would rather look for it later. If
    /// it is a turn of a conversation that is to be kept, with what was `said` before it.
    pub(crate) async fn begin(
        &self,
        mut generation: Generation,
        said: Option<Conversation>,
    ) -> Result<Begun, ApiError> {
        // A preference is no demand (RFC 7240, section 2): where no run outlives its answer, the client waits.
        let detached = self.prefers_async && self.gateway.outlives_answers();
        if detached {
            generation.on_disconnect = OnDisconnect::Continue;
        }
        let outlives = generation.on_disconnect == OnDisconnect::Continue;
        let run = self.run(generation).await?;
        let run = match said {
            Some(said) => self.gateway.keep_conversation(&self.caller, run, said, outlives).await?,
            None => run,
        };
        if detached {
            let request = AcceptedRequest::new(run.id, run.state(), run.queue_position());
            return Ok(Begun::Detached(head::cached(queue::accepted(request), run.cache)));
        }
        Ok(Begun::Attached(run))
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
        if let Some(frame) = renderer.last() {
            yield frame;
        }
    }
}

/// The frames of a stream that has no comments: where it is silent for long, a frame says nothing.
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
        if let Some(frame) = renderer.last() {
            yield frame;
        }
    }
}
