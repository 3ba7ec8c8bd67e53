//! Reads a text answer while it arrives: returns its events, within the provider's timeouts.

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

use super::{connection::Connection, request_error::timed_out, runs::RunGuard};
use crate::{
    answer_error::broken_off,
    decoder::Decoder,
    decompress,
    reader::AnswerReader,
    transport::{BodyStream, HttpResponse},
    transport_error,
};

/// Maximum number of pieces that are read after an answer's end, so that its connection can be used again.
const TRAILING_PIECES_MAX_COUNT: usize = 4;

/// The body of an answer, and its reader.
pub(super) struct AnswerBody {
    body: BodyStream,
    reader: AnswerReader,
    connection: Arc<Connection>,
    /// The time by which the answer must be complete.
    deadline: Instant,
    /// The time from the request to the deadline, for the error message.
    timeout: Duration,
    /// Time of the last received bytes.
    last_bytes_at: Instant,
    /// Fires no later than the next timeout. It isn't reset for each piece: when it fires, the limits are checked.
    timer: Pin<Box<Sleep>>,
}

impl AnswerBody {
    /// Creates the body of `response`, which must be complete within `timeout` from `began`.
    ///
    /// # Errors
    /// `provider_error` for an unknown content coding.
    pub(super) fn new(
        response: HttpResponse,
        decoder: Box<dyn Decoder>,
        connection: Arc<Connection>,
        began: Instant,
        timeout: Duration,
    ) -> Result<Self, ApiError> {
        let now = Instant::now();
        let deadline = began + timeout;
        let endpoint = &connection.endpoint;
        let timer = Box::pin(sleep_until(deadline.min(now + endpoint.timeouts.between_bytes)));
        let reader = AnswerReader::with_decoder(endpoint.dialect.framing(), decoder);
        let body = decompress::body_of(response)?;
        Ok(Self { body, reader, connection, deadline, timeout, last_bytes_at: now, timer })
    }

    /// Waits for the next bytes, and appends their events, also if it then returns an error. Comments count as bytes: a
    /// server that sends them is alive.
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
                tracing::warn!(
                    provider = self.connection.endpoint.name,
                    reason,
                    "a provider's stream broke off"
                );
                broken_off()
            }
            Poll::Pending => ready!(self.poll_timeout(cx)),
        };
        // If the answer is complete, it doesn't matter that the connection breaks or stays open after its end.
        Poll::Ready(self.reader.end(events).map_err(|_| problem))
    }

    /// Waits until one of the provider's timeouts is exceeded.
    fn poll_timeout(&mut self, cx: &mut Context<'_>) -> Poll<ApiError> {
        let between_bytes = self.connection.endpoint.timeouts.between_bytes;
        loop {
            ready!(self.timer.as_mut().poll(cx));
            let limit = self.deadline.min(self.last_bytes_at + between_bytes);
            let name = &self.connection.endpoint.name;
            if limit > Instant::now() {
                self.timer.as_mut().reset(limit);
            } else if limit == self.deadline {
                return Poll::Ready(timed_out(
                    name,
                    &format!("didn't end its answer within {} s", self.timeout.as_secs()),
                ));
            } else {
                return Poll::Ready(timed_out(
                    name,
                    &format!("sent nothing for {} s", between_bytes.as_secs()),
                ));
            }
        }
    }

    /// Reads the pieces that have arrived after the answer's end: a connection can be used again once its body has ended.
    fn poll_trailing(&mut self, cx: &mut Context<'_>) {
        for _ in 0..TRAILING_PIECES_MAX_COUNT {
            let Poll::Ready(Some(Ok(_))) = self.body.poll_next_unpin(cx) else { return };
        }
    }

    /// Reads the answer to its end, and appends its events.
    ///
    /// # Errors
    /// The provider's own error; `provider_error` for an incomplete answer, `provider_timeout` for one that takes too
    /// long.
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

/// The events of a streamed answer. Dropping it closes the connection, which stops the generation at the provider.
pub(super) struct AnswerEvents {
    body: AnswerBody,
    /// Events that have been read and not yet returned.
    read: std::vec::IntoIter<RunEventBody>,
    /// The error that follows them.
    failure: Option<ApiError>,
    has_ended: bool,
    cancelled: oneshot::Receiver<()>,
    _guard: RunGuard,
}

impl AnswerEvents {
    /// Creates the stream of the events of `body`, which `cancelled` ends early.
    pub(super) fn new(body: AnswerBody, cancelled: oneshot::Receiver<()>, guard: RunGuard) -> Self {
        let read = vec![RunEventBody::Started { prompt_tokens: 0 }].into_iter();
        Self { body, read, failure: None, has_ended: false, cancelled, _guard: guard }
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
                let connection = &this.body.connection;
                connection.ledger.record_error(&error, None, Timestamp::now());
                let error = connection.redactor.redact_error(error);
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
