//! A request with several prompts: a run for each, at once, and one answer.

use axum::{
    Json,
    response::{IntoResponse as _, Response},
};
use futures::{StreamExt as _, future::try_join_all, stream};
use hearth_domain::{Generation, RunId, Usage};
use hearth_gateway::{Delivery, RunStream};
use hearth_http::{HttpError, rate_headers::with_rate, response_headers, sse};
use hearth_wire::{
    RunEventBody,
    openai::completions::{Completion, CompletionRenderer},
    stream::{Frame, Render as _},
};

use crate::run_request::RunRequest;

/// Has every generation carried out, and answers as the renderers show them: in a stream, if it is to be one. The first
/// run has the request's id, and each other one an id of its own. A client that goes away is gone for all of them.
///
/// # Errors
/// The first run's error that can't begin; of an answer in one piece, any run's.
pub(crate) async fn answer(
    run_request: RunRequest,
    parts: Vec<(Generation, CompletionRenderer)>,
    streams: bool,
    include_usage: bool,
) -> Result<Response, HttpError> {
    let (generations, renderers): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
    let delivery = Delivery::of(streams);
    let begin = |(number, generation): (usize, Generation)| {
        let id = if number == 0 { run_request.id } else { RunId::new() };
        run_request.run_as(id, generation, delivery)
    };
    let runs: Vec<RunStream> = try_join_all(generations.into_iter().enumerate().map(begin)).await?;
    // Each counts as a request of its own: the last one has the latest state.
    let rate = runs.last().and_then(|run| run.rate);
    let definitions = runs.first().and_then(|run| run.definitions.clone());
    let with_definitions = |response| response_headers::with_definitions(response, definitions.as_deref());
    if streams {
        let begun: Vec<_> = runs.iter().flat_map(RunStream::begun).take(2).cloned().collect();
        let response = response_headers::with_run(stream(runs, renderers, include_usage), &begun);
        return Ok(with_definitions(with_rate(response, rate)));
    }
    let whole = runs.into_iter().zip(renderers).map(|(run, renderer)| async move {
        let events = run.collect().await;
        renderer.into_answer(&events).map(|completion| (completion, events))
    });
    let done = try_join_all(whole).await?;
    let (completions, mut events): (Vec<Completion>, Vec<_>) = done.into_iter().unzip();
    let first = if events.is_empty() { Vec::new() } else { events.swap_remove(0) };
    let response = response_headers::with_run(Json(Completion::joined(completions)).into_response(), &first);
    Ok(with_definitions(with_rate(response, rate)))
}

/// The chunks of all runs as they come. A run that fails ends the stream.
fn stream(runs: Vec<RunStream>, mut renderers: Vec<CompletionRenderer>, include_usage: bool) -> Response {
    let events = runs.into_iter().enumerate().map(|(number, mut run)| {
        Box::pin(async_stream::stream! {
            while let Some(event) = run.next().await {
                yield (number, event);
            }
        })
    });
    let mut events = stream::select_all(events);
    sse::respond(async_stream::stream! {
        while let Some((number, event)) = events.next().await {
            let Some(renderer) = renderers.get_mut(number) else { continue };
            for frame in renderer.frames(&event) {
                yield frame;
            }
            if matches!(event.body, RunEventBody::Error { .. } | RunEventBody::Cancelled) {
                yield Frame::done();
                return;
            }
        }
        if include_usage && let Some(first) = renderers.first() {
            let usage = renderers.iter().fold(Usage::default(), |sum, renderer| sum.and(&renderer.usage()));
            yield first.usage_frame(usage);
        }
        yield Frame::done();
    })
}
