//! What comes whole: requests and their answers, and then the events that tell of them.

use bytes::{Bytes, BytesMut};
use futures::{StreamExt as _, TryStreamExt as _};
use hearth_wire::{ApiError, RunEventBody};
use tokio::time::Instant;

use super::{HttpProvider, Timeouts, late};
use crate::{
    Call, EventStream, decompress,
    dialect::{broken_off, unreadable},
    media::{self, Answer, Ask, Body, Job},
    transport::HttpAnswer,
    transport_error,
};

/// How many requests of one run are on their way at once.
const AT_ONCE: usize = 4;

impl HttpProvider {
    /// Begins to make what isn't text. What can't be asked for is an error here; what fails later is the
    /// stream's last event. It begins at once: who waits is told that somebody works.
    pub(super) fn make(&self, call: &Call) -> Result<EventStream, ApiError> {
        let job = media::job(&self.endpoint, call)?;
        let (mut cancelled, guard) = self.enter(call.run);
        let this = self.clone();
        Ok(Box::pin(async_stream::stream! {
            let _guard = guard;
            yield RunEventBody::Started { prompt_tokens: 0 };
            let made = tokio::select! {
                made = this.carry_out(job) => made,
                _ = &mut cancelled => {
                    yield RunEventBody::Cancelled;
                    return;
                }
            };
            match made {
                Ok(events) => for event in events {
                    yield event;
                },
                Err(error) => yield RunEventBody::Error { error },
            }
        }))
    }

    /// All of it or nothing: what is half made has cost the client nothing, and another may make it.
    async fn carry_out(&self, mut job: Job) -> Result<Vec<RunEventBody>, ApiError> {
        let (asks, read, most) = (std::mem::take(&mut job.asks), job.read, job.most_bytes);
        let deadline = Instant::now() + self.endpoint.timeouts.whole;
        let exchanges =
            asks.into_iter().map(|ask| async move { read(&self.exchange(ask, most, deadline).await?) });
        let made = futures::stream::iter(exchanges).buffered(AT_ONCE).try_collect().await?;
        job.events(made)
    }

    async fn exchange(&self, ask: Ask, most: usize, deadline: Instant) -> Result<Answer, ApiError> {
        let (content_type, body) = match ask.body {
            Body::Json(body) => ("application/json".to_owned(), Bytes::from(body.to_string())),
            Body::Form(form) => {
                let (content_type, body) = form.encoded();
                (content_type, body.into())
            }
        };
        let mut request = self.target()?.post_to(&ask.url, ask.accept, &content_type, body)?;
        self.authorize(&mut request)?;
        let answer = self.answered(request, self.endpoint.timeouts.made, true, false).await?;
        let headers = answer.headers.clone();
        Ok(Answer { headers, bytes: self.read_file(answer, most, deadline).await? })
    }

    /// The answer's body.
    async fn read_file(&self, answer: HttpAnswer, most: usize, deadline: Instant) -> Result<Bytes, ApiError> {
        let mut body = decompress::body_of(answer)?;
        let Timeouts { between_bytes, whole, .. } = self.endpoint.timeouts;
        let name = &self.endpoint.name;
        let mut bytes = BytesMut::new();
        loop {
            let limit = deadline.min(Instant::now() + between_bytes);
            match tokio::time::timeout_at(limit, body.next()).await {
                Ok(Some(Ok(piece))) if bytes.len() + piece.len() > most => {
                    return Err(unreadable(format!("it has more than {} MiB", most >> 20)));
                }
                Ok(Some(Ok(piece))) => bytes.extend_from_slice(&piece),
                Ok(None) => return Ok(bytes.freeze()),
                Ok(Some(Err(error))) => {
                    let reason = transport_error::reason(&error);
                    tracing::warn!(provider = name, reason, "a provider's answer broke off");
                    return Err(broken_off());
                }
                Err(_) if limit == deadline => {
                    return Err(late(name, &format!("didn't end its answer within {} s", whole.as_secs())));
                }
                Err(_) => {
                    return Err(late(name, &format!("said nothing for {} s", between_bytes.as_secs())));
                }
            }
        }
    }
}
