//! A generation's answer while it comes: its events, within the provider's times.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures::{Stream, StreamExt as _};
use hearth_domain::Timestamp;
use hearth_wire::{ApiError, RunEventBody};
use tokio::{
    sync::oneshot,
    time::{Instant, Sleep, sleep_until},
};

use super::{Endpoint, HttpProvider, RunGuard, late};
use crate::{
    decompress::{self, BodyStream},
    dialect::{self, Decoder},
    reader::AnswerReader,
    transport::HttpAnswer,
    transport_error,
};

/// How many pieces of a body are read behind an answer's end, so that its connection can be used again.
const TRAILING_PIECES_MAX_COUNT: usize = 4;

/// The body of an answer, and what reads it.
pub(super) struct AnswerBody {
    body: BodyStream,
    reader: AnswerReader,
    endpoint: Arc<Endpoint>,
    /// When the answer has to be whole, and how long that is from its beginning.
    deadline: Instant,
    limit: Duration,
    /// When the last bytes came.
    last_bytes_at: Instant,
    /// Rings at the earliest when time is up: it is not set anew for each piece.
    timer: Pin<Box<Sleep>>,
}

impl AnswerBody {
    /// The body of `answer`, which must be whole `limit` after `began`.
    ///
    /// # Errors
    /// `provider_error` for a coding that isn't known.
    pub(super) fn new(
        answer: HttpAnswer,
        decoder: Box<dyn Decoder>,
        endpoint: Arc<Endpoint>,
        began: Instant,
        limit: Duration,
    ) -> Result<Self, ApiError> {
        let now = Instant::now();
        let deadline = began + limit;
        let timer = Box::pin(sleep_until(deadline.min(now + endpoint.timeouts.between_bytes)));
        let reader = AnswerReader::with_decoder(endpoint.dialect.framing(), decoder);
        let body = decompress::body_of(answer)?;
        Ok(Self { body, reader, endpoint, deadline, limit, last_bytes_at: now, timer })
    }

    /// Waits for the next bytes, and appends the events that they give, also where an error follows. Comments count as
    /// bytes: a server that sends them is alive.
    fn poll_events(
        &mut self,
        cx: &mut Context<'_>,
        events: &mut Vec<RunEventBody>,
    ) -> Poll<Result<(), ApiError>> {
        let problem = match self.body.poll_next_unpin(cx) {
            Poll::Ready(Some(Ok(bytes))) => {
                self.last_bytes_at = Instant::now();
                return Poll::Ready(self.reader.push(&bytes, events));
            }
            Poll::Ready(None) => return Poll::Ready(self.reader.end(events)),
            Poll::Ready(Some(Err(error))) => {
                let reason = transport_error::reason(&error);
                tracing::warn!(provider = self.endpoint.name, reason, "a provider's stream broke off");
                dialect::broken_off()
            }
            Poll::Pending => ready!(self.poll_timeout(cx)),
        };
        // A connection that breaks, or stays open, behind the answer's end takes nothing from it.
        Poll::Ready(self.reader.end(events).map_err(|_| problem))
    }

    /// Waits until one of the provider's times is up.
    fn poll_timeout(&mut self, cx: &mut Context<'_>) -> Poll<ApiError> {
        let between_bytes = self.endpoint.timeouts.between_bytes;
        loop {
            ready!(self.timer.as_mut().poll(cx));
            let limit = self.deadline.min(self.last_bytes_at + between_bytes);
            let name = &self.endpoint.name;
            if limit > Instant::now() {
                self.timer.as_mut().reset(limit);
            } else if limit == self.deadline {
                return Poll::Ready(late(
                    name,
                    &format!("didn't end its answer within {} s", self.limit.as_secs()),
                ));
            } else {
                return Poll::Ready(late(name, &format!("said nothing for {} s", between_bytes.as_secs())));
            }
        }
    }

    /// Reads what is there behind the answer's end: a connection is used again once its body has ended.
    fn poll_trailing(&mut self, cx: &mut Context<'_>) {
        for _ in 0..TRAILING_PIECES_MAX_COUNT {
            let Poll::Ready(Some(Ok(_))) = self.body.poll_next_unpin(cx) else { return };
        }
    }

    /// Reads an answer to its end, and appends its events.
    ///
    /// # Errors
    /// The provider's own error; `provider_error` for an answer that isn't whole, `provider_timeout` for one that is
    /// late.
    pub(super) async fn read(&mut self, events: &mut Vec<RunEventBody>) -> Result<(), ApiError> {
        while !events.last().is_some_and(RunEventBody::is_terminal) {
            std::future::poll_fn(|cx| self.poll_events(cx, events)).await?;
        }
        std::future::poll_fn(|cx| {
            self.poll_trailing(cx);
            Poll::Ready(())
        })
        .await;
        Ok(())
    }
}

/// The events of an answer, as they come. Dropping it closes the connection, which is how a provider learns that nobody
/// waits any more.
pub(super) struct AnswerEvents {
    provider: HttpProvider,
    body: AnswerBody,
    /// Events that are read, and not yet given.
    read: std::vec::IntoIter<RunEventBody>,
    /// What comes after them.
    failure: Option<ApiError>,
    has_ended: bool,
    cancelled: oneshot::Receiver<()>,
    _guard: RunGuard,
}

impl AnswerEvents {
    /// The events of `body`, which `cancelled` ends early.
    pub(super) fn new(
        provider: HttpProvider,
        body: AnswerBody,
        cancelled: oneshot::Receiver<()>,
        guard: RunGuard,
    ) -> Self {
        let read = vec![RunEventBody::Started { prompt_tokens: 0 }].into_iter();
        Self { provider, body, read, failure: None, has_ended: false, cancelled, _guard: guard }
    }
}

impl Stream for AnswerEvents {
    type Item = RunEventBody;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<RunEventBody>> {
        let this = &mut *self;
        loop {
            if let Some(event) = this.read.next() {
                if event.is_terminal() {
                    this.has_ended = true;
                    this.body.poll_trailing(cx);
                }
                return Poll::Ready(Some(event));
            }
            if this.has_ended {
                return Poll::Ready(None);
            }
            if let Some(error) = this.failure.take() {
                this.has_ended = true;
                this.provider.ledger.refused(&error, None, Timestamp::now());
                let error = this.provider.redactor.redact_error(error);
                return Poll::Ready(Some(RunEventBody::Error { error }));
            }
            if Pin::new(&mut this.cancelled).poll(cx).is_ready() {
                this.has_ended = true;
                return Poll::Ready(Some(RunEventBody::Cancelled));
            }
            let mut events = Vec::new();
            this.failure = ready!(this.body.poll_events(cx, &mut events)).err();
            this.read = events.into_iter();
        }
    }
}
