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
    let (connection, memory) = (Arc::clone(connection), MediaMemory::of_process());
    Ok(Box::pin(async_stream::stream! {
        let _guard = guard;
        yield RunEventBody::Started { prompt_tokens: 0 };
        let result = tokio::select! {
            result = run_job(&connection, job, &memory) => result,
            _ = &mut cancelled => {
                yield RunEventBody::Cancelled;
                return;
            }
        };
        match result {
            // The share is held until the files are stored.
            Ok((events, _share)) => for event in events {
                yield event;
            },
            Err(error) => yield RunEventBody::Error { error },
        }
    }))
}

/// Sends all requests of a job, once there is memory for their answers. If one fails, the others' results are dropped: another
/// provider may then serve the run. Returns the events, and the answers' share of the memory, which the events take.
async fn run_job(
    connection: &Connection,
    mut job: MediaJob,
    memory: &MediaMemory,
) -> Result<(Vec<RunEventBody>, MediaShare), ApiError> {
    let (requests, read, max_bytes) = (std::mem::take(&mut job.requests), job.read, job.answer_max_bytes);
    let share = memory.reserve(job.expected_bytes).await?;
    let deadline = Instant::now() + connection.endpoint.timeouts.total;
    let held = &share;
    let exchanges = requests.into_iter().map(|request| async move {
        let answer = exchange(connection, request, max_bytes, deadline, held).await?;
        read(&answer)
    });
    let results: Vec<_> =
        futures::stream::iter(exchanges).buffered(CONCURRENT_REQUESTS_MAX_COUNT).try_collect().await?;
    Ok((job.events(results)?, share))
}

async fn exchange(
    connection: &Connection,
    request: MediaRequest,
    max_bytes: usize,
    deadline: Instant,
    share: &MediaShare,
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
    share: &MediaShare,
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
                share.add(piece.len()).await?;
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::{Json, Router, routing::post};
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use hearth_domain::{Delivery, Generation, ImageTask, ModelId, RunId};
    use hearth_settings::ProviderSettings;
    use hearth_wire::ErrorCode;
    use serde_json::json;

    use super::*;
    use crate::{endpoint::Endpoint, transport::VendorClient};

    const MIB: usize = 1 << 20;

    /// A server that counts its requests, each of which it answers with an image of `bytes`.
    async fn server(bytes: usize) -> (String, Arc<AtomicUsize>) {
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        let answer = move || async move {
            counted.fetch_add(1, Ordering::Relaxed);
            let mut image = b"\x89PNG\r\n\x1a\n".to_vec();
            image.resize(bytes, 0);
            Json(json!({"data": [{"b64_json": STANDARD.encode(image)}]}))
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/images/generations", post(answer));
        tokio::spawn(async move { axum::serve(listener, router).await });
        (format!("http://{address}"), count)
    }

    fn connection(base_url: &str) -> Connection {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let settings = ProviderSettings {
            kind: Some("openai".to_owned()),
            base_url: Some(base_url.to_owned()),
            ..ProviderSettings::default()
        };
        let endpoint = Endpoint::new("acme", &settings, None).unwrap();
        Connection::new(endpoint, VendorClient::from(reqwest::Client::new()))
    }

    fn job_at(connection: &Connection) -> MediaJob {
        let model = ModelId::new("gpt-image-1");
        let call = Call {
            run: RunId::new(),
            generation: Generation::new(Some(model.clone()), ImageTask::new("a fox")).into(),
            model,
            delivery: Delivery::Stream,
            trace: Default::default(),
        };
        let endpoint = &connection.endpoint;
        media::job(&endpoint.base_url, endpoint.vendor.media, &call).unwrap().unwrap()
    }

    #[tokio::test]
    async fn generation_without_memory_is_refused_before_it_is_sent() {
        let (base_url, count) = server(100).await;
        let (connection, memory) = (connection(&base_url), MediaMemory::new(2 * MIB, MIB));
        let reserved = memory.reserve(2 * MIB).await.unwrap();
        tokio::time::pause();
        let error = run_job(&connection, job_at(&connection), &memory).await.unwrap_err();
        tokio::time::resume();
        assert_eq!((error.code, count.load(Ordering::Relaxed)), (ErrorCode::Overloaded, 0));
        drop(reserved);
        run_job(&connection, job_at(&connection), &memory).await.unwrap();
        assert_eq!(count.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn paid_answer_is_delivered_while_others_hold_all_that_can_be_reserved() {
        let (base_url, count) = server(3 * MIB).await;
        let (connection, memory) = (connection(&base_url), MediaMemory::new(4 * MIB, 8 * MIB));
        let job = job_at(&connection);
        let expected_bytes = job.expected_bytes;
        let other = memory.reserve(4 * MIB - expected_bytes).await.unwrap();
        let (events, share) = run_job(&connection, job, &memory).await.unwrap();
        let files = events.iter().filter(|event| matches!(event, RunEventBody::File { .. }));
        assert_eq!((files.count(), count.load(Ordering::Relaxed)), (1, 1));
        drop((other, share));
    }
}
