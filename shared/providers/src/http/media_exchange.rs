//! Generations of vectors, images and meshes: sends the requests of a job, and turns their answers into events.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::{StreamExt as _, TryStreamExt as _};
use hearth_wire::{ApiError, RunEventBody};
use tokio::time::Instant;

use super::{
    connection::Connection,
    media_memory::{MediaMemory, MediaShare},
    request_error::timed_out,
    runs::ActiveRuns,
};
use crate::{
    answer_error::{broken_off, unreadable},
    decompress,
    endpoint::Timeouts,
    media::{self, MediaAnswer, MediaJob, MediaRequest, RequestBody},
    provider::{Call, EventStream},
    transport::HttpResponse,
    transport_error,
};

/// Maximum number of concurrent requests of one run.
const CONCURRENT_REQUESTS_MAX_COUNT: usize = 4;

/// Starts a generation of vectors, images or meshes. A request that the vendor can't serve is an error here; a later
/// failure is the stream's last event. The stream begins at once, with `Started`.
///
/// # Errors
/// `invalid_request` for a modality or a field that the vendor doesn't support.
pub(super) fn generate_media(
    connection: &Arc<Connection>,
    runs: &ActiveRuns,
    call: &Call,
) -> Result<EventStream, ApiError> {
    let endpoint = &connection.endpoint;
    let job = media::job(&endpoint.base_url, endpoint.vendor.media, call)?;
    let job = job.ok_or_else(|| endpoint.unsupported(call.generation.task.modality()))?;
    let (mut cancelled, guard) = runs.register(call.run);
    let connection = Arc::clone(connection);
    Ok(Box::pin(async_stream::stream! {
        let _guard = guard;
        yield RunEventBody::Started { prompt_tokens: 0 };
        let result = tokio::select! {
            result = run_job(&connection, job) => result,
            _ = &mut cancelled => {
                yield RunEventBody::Cancelled;
                return;
            }
        };
        match result {
            // The shares are held until the files are stored.
            Ok((events, _shares)) => for event in events {
                yield event;
            },
            Err(error) => yield RunEventBody::Error { error },
        }
    }))
}

/// Sends all requests of a job. If one fails, the others' results are dropped: another provider may then serve the run.
/// Returns the events, and the answers' shares of the memory, which the events take.
async fn run_job(
    connection: &Connection,
    mut job: MediaJob,
) -> Result<(Vec<RunEventBody>, Vec<MediaShare>), ApiError> {
    let (requests, read, max_bytes) = (std::mem::take(&mut job.requests), job.read, job.answer_max_bytes);
    let deadline = Instant::now() + connection.endpoint.timeouts.total;
    let memory = &MediaMemory::of_process();
    let exchanges = requests.into_iter().map(|request| async move {
        let mut share = memory.share();
        let answer = exchange(connection, request, max_bytes, deadline, &mut share).await?;
        Ok::<_, ApiError>((read(&answer)?, share))
    });
    let results: Vec<_> =
        futures::stream::iter(exchanges).buffered(CONCURRENT_REQUESTS_MAX_COUNT).try_collect().await?;
    let (results, shares): (Vec<_>, Vec<_>) = results.into_iter().unzip();
    Ok((job.events(results)?, shares))
}

async fn exchange(
    connection: &Connection,
    request: MediaRequest,
    max_bytes: usize,
    deadline: Instant,
    share: &mut MediaShare,
) -> Result<MediaAnswer, ApiError> {
    let (content_type, body) = match request.body {
        RequestBody::Json(body) => ("application/json".to_owned(), Bytes::from(body.to_string())),
        RequestBody::Form(form) => {
            let (content_type, body) = form.encoded();
            (content_type, body.into())
        }
    };
    let target = connection.target()?;
    let http_request = target.post_to(&request.url, request.accept, &content_type, body)?;
    let timeout = connection.endpoint.timeouts.whole_answer;
    let response = connection.send_media(http_request, timeout).await?;
    let headers = response.headers.clone();
    Ok(MediaAnswer { headers, bytes: read_body(connection, response, max_bytes, deadline, share).await? })
}

/// Reads a response's body, within the provider's timeouts and the memory of its share.
async fn read_body(
    connection: &Connection,
    response: HttpResponse,
    max_bytes: usize,
    deadline: Instant,
    share: &mut MediaShare,
) -> Result<Bytes, ApiError> {
    let mut body = decompress::body_of(response)?;
    let Timeouts { between_bytes, total, .. } = connection.endpoint.timeouts;
    let name = &connection.endpoint.name;
    let mut bytes = BytesMut::new();
    loop {
        let limit = deadline.min(Instant::now() + between_bytes);
        match tokio::time::timeout_at(limit, body.next()).await {
            Ok(Some(Ok(piece))) if bytes.len() + piece.len() > max_bytes => {
                return Err(unreadable(format!("it has more than {} MiB", max_bytes >> 20)));
            }
            Ok(Some(Ok(piece))) => {
                share.grow_to(bytes.len() + piece.len()).await?;
                bytes.extend_from_slice(&piece);
            }
            Ok(None) => return Ok(bytes.freeze()),
            Ok(Some(Err(error))) => {
                let reason = transport_error::reason(&error);
                tracing::warn!(provider = name, reason, "a provider's answer broke off");
                return Err(broken_off());
            }
            Err(_) if limit == deadline => {
                return Err(timed_out(name, &format!("didn't end its answer within {} s", total.as_secs())));
            }
            Err(_) => {
                return Err(timed_out(name, &format!("sent nothing for {} s", between_bytes.as_secs())));
            }
        }
    }
}
