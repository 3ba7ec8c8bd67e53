//! A request with several prompts: a run for each, at once, and one answer.

use axum::{
    Json,
    response::{IntoResponse as _, Response},
};
use futures::{StreamExt as _, future::try_join_all, stream};
use hearth_domain::{Generation, RunId, Usage};
use hearth_gateway::RunStream;
use hearth_http::{HttpError, head, sse};
use hearth_wire::{
    RunEventBody,
    openai::completions::{Completion, Renderer},
    stream::{Frame, Render as _},
};

use crate::asker::Asker;

/// Has every generation carried out, and answers as the renderers show them: in a stream, if it is to be one. The first
/// run has the request's id, and each other one an id of its own. A client that goes away is gone for all of them.
///
/// # Errors
/// The first run's error that can't begin; of an answer in one piece, any run's.
pub(crate) async fn answer(
    asker: Asker,
    parts: Vec<(Generation, Renderer)>,
    streams: bool,
    include_usage: bool,
) -> Result<Response, HttpError> {
    let (mut generations, renderers): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
    generations.iter_mut().for_each(|generation| generation.whole = !streams);
    let begin = |(number, generation): (usize, Generation)| {
        let id = if number == 0 { asker.id } else { RunId::new() };
        asker.run_as(id, generation)
    };
    let runs: Vec<RunStream> = try_join_all(generations.into_iter().enumerate().map(begin)).await?;
    if streams {
        let begun: Vec<_> = runs.iter().flat_map(RunStream::begun).take(2).cloned().collect();
        return Ok(head::told(stream(runs, renderers, include_usage), &begun));
    }
    let whole = runs.into_iter().zip(renderers).map(|(run, renderer)| async move {
        let events = run.collect().await;
        renderer.collected(&events).map(|completion| (completion, events))
    });
    let done = try_join_all(whole).await?;
    let (completions, mut events): (Vec<Completion>, Vec<_>) = done.into_iter().unzip();
    let first = if events.is_empty() { Vec::new() } else { events.swap_remove(0) };
    Ok(head::told(Json(Completion::joined(completions)).into_response(), &first))
}

/// The chunks of all runs as they come. A run that fails ends the stream.
fn stream(runs: Vec<RunStream>, mut renderers: Vec<Renderer>, include_usage: bool) -> Response {
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
