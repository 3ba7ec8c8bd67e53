//! HTTP response made from a function's response.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use axum::{
    body::{Body, Bytes, HttpBody},
    http::{
        HeaderMap, HeaderName,
        header::{CONNECTION, CONTENT_LENGTH, DATE, SERVER, WWW_AUTHENTICATE},
    },
    response::Response,
};
use bytes::BytesMut;
use http_body::Frame;
use http_body_util::Empty;
use tokio::{
    sync::mpsc,
    time::{Instant, Sleep, sleep_until},
};

use super::{functions::Answer, refusal::Refusal};

/// Headers of a response that API Gateway renames.
const REMAPPED_HEADERS: [HeaderName; 5] = [CONNECTION, CONTENT_LENGTH, DATE, SERVER, WWW_AUTHENTICATE];

/// Waits for the rest of a buffered response.
pub(crate) async fn buffered(mut answer: Answer) -> Result<Response, Refusal> {
    let mut body = BytesMut::new();
    while let Some(chunk) = answer.chunks.recv().await {
        body.extend_from_slice(&chunk.map_err(Refusal::Integration)?);
    }
    Ok(with_head(&mut answer, Body::from(body.freeze())))
}

/// Passes on a streamed response, which is cut at the deadline.
pub(crate) fn streamed(mut answer: Answer, deadline: Instant) -> Response {
    let (_, no_chunks) = mpsc::unbounded_channel();
    let chunks = std::mem::replace(&mut answer.chunks, no_chunks);
    let body = StreamedBody { chunks, deadline: Box::pin(sleep_until(deadline)) };
    with_head(&mut answer, Body::new(body))
}

/// Removes the body of a response to `HEAD`.
pub(crate) fn without_body_of_head(response: Response, is_head: bool) -> Response {
    if is_head { response.map(|_| Body::new(Empty::<Bytes>::new())) } else { response }
}

fn with_head(answer: &mut Answer, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = answer.status;
    *response.headers_mut() = remapped(std::mem::take(&mut answer.headers));
    response
}

fn remapped(mut headers: HeaderMap) -> HeaderMap {
    for name in REMAPPED_HEADERS {
        if let Some(value) = headers.remove(&name)
            && let Ok(name) = format!("x-amzn-remapped-{name}").parse::<HeaderName>()
        {
            headers.insert(name, value);
        }
    }
    headers
}

/// Body whose chunks arrive one by one.
struct StreamedBody {
    chunks: mpsc::UnboundedReceiver<Result<Bytes, String>>,
    deadline: Pin<Box<Sleep>>,
}

impl HttpBody for StreamedBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Poll::Ready(chunk) = self.chunks.poll_recv(context) {
            return Poll::Ready(chunk.map(|chunk| match chunk {
                Ok(chunk) => Ok(Frame::data(chunk)),
                Err(failure) => Err(io::Error::other(failure)),
            }));
        }
        match self.deadline.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Some(Err(io::Error::other("the route's timeout is over")))),
            Poll::Pending => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_the_connection_are_renamed() {
        let mut headers = HeaderMap::new();
        headers.insert(WWW_AUTHENTICATE, "Bearer".parse().unwrap());
        headers.insert("x-request-id", "req_1".parse().unwrap());
        let headers = remapped(headers);
        assert_eq!(headers["x-amzn-remapped-www-authenticate"], "Bearer");
        assert!(!headers.contains_key(WWW_AUTHENTICATE) && headers.contains_key("x-request-id"));
    }
}
