//! Minimum speed of a request's body.

use std::{
    error::Error,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{BoxError, body::Bytes};
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep};

/// Minimum speed of a body.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Longest pause.
    pub pause: Duration,
    /// Bytes that must arrive for each second of waiting, after a first `pause`. Without it a client could hold a
    /// connection for ever by sending one byte just before each pause ends.
    pub bytes_per_second: u64,
}

/// Error of a body that came too slowly.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the body came too slowly")]
pub struct BodyTooSlow;

impl BodyTooSlow {
    /// Returns whether it is the cause of `error`.
    pub(crate) fn caused(error: &(dyn Error + 'static)) -> bool {
        let mut cause = Some(error);
        while let Some(error) = cause {
            if error.is::<Self>() {
                return true;
            }
            cause = error.source();
        }
        false
    }
}

/// Body that fails with [`BodyTooSlow`] when it comes slower than its [`Pace`]. Only the time in which a reader waits for
/// it counts.
#[derive(Debug)]
pub struct PacedBody<B> {
    body: B,
    pace: Pace,
    received_bytes: u64,
    waited: Duration,
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl<B> PacedBody<B> {
    /// Wraps `body`, which must come at `pace` or faster.
    pub fn new(body: B, pace: Pace) -> Self {
        Self { body, pace, received_bytes: 0, waited: Duration::ZERO, waiting: None }
    }

    /// Returns the longest time that the next piece may take.
    fn piece_timeout(&self) -> Duration {
        let earned = Duration::from_secs(self.received_bytes / self.pace.bytes_per_second.max(1));
        (self.pace.pause + earned).saturating_sub(self.waited).min(self.pace.pause)
    }
}

impl<B> Body for PacedBody<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) else {
            let timeout = self.piece_timeout();
            let (_, timer) = self.waiting.get_or_insert_with(|| (Instant::now(), Box::pin(sleep(timeout))));
            ready!(timer.as_mut().poll(context));
            return Poll::Ready(Some(Err(BodyTooSlow.into())));
        };
        if let Some((since, _)) = self.waiting.take() {
            self.waited += since.elapsed();
        }
        if let Some(Ok(frame)) = &frame {
            self.received_bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::{body::Body as AxumBody, extract::FromRequest as _};
    use futures::StreamExt as _;
    use hearth_wire::ErrorCode;
    use http::Request;
    use http_body_util::{BodyExt as _, StreamBody};
    use serde_json::Value;

    use super::*;
    use crate::{FormBody, JsonBody};

    const PACE: Pace = Pace { pause: Duration::from_millis(100), bytes_per_second: 1000 };

    fn paced(pieces: impl futures::Stream<Item = &'static str> + Send + Unpin + 'static) -> AxumBody {
        let frames =
            pieces.map(|piece| Ok::<_, Infallible>(Frame::data(Bytes::from_static(piece.as_bytes()))));
        AxumBody::new(PacedBody::new(StreamBody::new(frames), PACE))
    }

    #[tokio::test]
    async fn body_that_pauses_too_long_is_refused_with_408() {
        let silent = || paced(futures::stream::iter(["{\"a\":"]).chain(futures::stream::pending()));
        let request = Request::post("/").body(silent()).unwrap();
        let error = JsonBody::<Value>::from_request(request, &()).await.unwrap_err();
        assert_eq!((error.0.code, error.0.code.status()), (ErrorCode::RequestTimeout, 408));
        let form = Request::post("/").header("content-type", "multipart/form-data; boundary=x");
        let error = FormBody::from_request(form.body(silent()).unwrap(), &()).await.unwrap_err();
        assert_eq!(error.0.code, ErrorCode::RequestTimeout);
    }

    #[tokio::test]
    async fn body_below_the_pace_is_refused_and_a_faster_one_is_read() {
        let every = |interval| {
            let ticks = tokio::time::interval(Duration::from_millis(interval));
            Box::pin(futures::stream::unfold(ticks, async |mut ticks| {
                ticks.tick().await;
                Some(("x", ticks))
            }))
        };
        let began = Instant::now();
        // One byte in 20 ms is 50 a second: less than 1000, and never a pause of 100 ms.
        let error = paced(every(20)).collect().await.unwrap_err();
        assert!(BodyTooSlow::caused(&error), "{error:?}");
        assert!(began.elapsed() < Duration::from_secs(10));
        let whole = paced(every(1).take(20)).collect().await.unwrap().to_bytes();
        assert_eq!(whole.len(), 20);
    }
}
