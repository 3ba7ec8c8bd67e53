//! Compression of buffered responses for clients that accept it.

use std::convert::Infallible;

use axum::{body::Body, response::Response};
use futures::FutureExt as _;
use http::{HeaderMap, HeaderValue, Request, header};
use tower::{Service as _, service_fn};
use tower_http::compression::{
    Compression, Predicate,
    predicate::{And, NotForContentType, SizeAbove},
};

/// Smallest body that is compressed.
const COMPRESSED_MIN_BYTES: u64 = 1024;

/// Encodings that a client accepts: its `accept-encoding` headers.
#[derive(Debug, Clone, Default)]
pub(crate) struct AcceptedEncodings(Vec<HeaderValue>);

impl AcceptedEncodings {
    /// Copies the headers of a request.
    pub(crate) fn from_headers(headers: &HeaderMap) -> Self {
        Self(headers.get_all(header::ACCEPT_ENCODING).iter().cloned().collect())
    }
}

/// Compresses a response that is large enough, if the client accepts it.
pub(crate) fn compress(response: Response, accepted: AcceptedEncodings) -> Response {
    if is_stream(&response) || accepted.0.is_empty() && !should_compress(&response) {
        return response;
    }
    let mut request = Request::new(());
    for value in accepted.0 {
        request.headers_mut().append(header::ACCEPT_ENCODING, value);
    }
    let mut response = Some(response);
    let route = service_fn(move |_: Request<()>| {
        std::future::ready(Ok::<_, Infallible>(response.take().unwrap_or_default()))
    });
    let compressed = Compression::new(route).gzip(true).compress_when(predicate()).call(request);
    // The response is there already, so that the future is ready at once.
    match compressed.now_or_never() {
        Some(Ok(compressed)) => compressed.map(Body::new),
        Some(Err(never)) => match never {},
        None => Response::default(),
    }
}

/// Conditions for compression. Streams are never compressed: that would delay tokens. Images already are.
fn predicate() -> And<And<SizeAbove, NotForContentType>, NotForContentType> {
    SizeAbove::new(COMPRESSED_MIN_BYTES).and(NotForContentType::SSE).and(NotForContentType::IMAGES)
}

/// Returns whether a response forbids transformation (RFC 9111, section 5.2.2.6), as streams do.
fn is_stream(response: &Response) -> bool {
    let control = response.headers().get(header::CACHE_CONTROL).and_then(|control| control.to_str().ok());
    control.is_some_and(|control| control.contains("no-transform"))
}

fn should_compress(response: &Response) -> bool {
    predicate().should_compress(response)
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;

    use super::*;

    fn response(content_type: &'static str, length: usize) -> Response {
        Response::builder().header("content-type", content_type).body("x".repeat(length).into()).unwrap()
    }

    fn accepting(encodings: &[&'static str]) -> AcceptedEncodings {
        AcceptedEncodings(encodings.iter().map(|encoding| HeaderValue::from_static(encoding)).collect())
    }

    #[tokio::test]
    async fn large_response_is_compressed_for_clients_that_accept_it() {
        for (accepted, content_type, length, encoding, vary) in [
            (&["gzip"][..], "application/json", 4096, Some("gzip"), true),
            (&["br", "gzip;q=0.5"], "application/json", 4096, Some("gzip"), true),
            (&["br"], "application/json", 4096, None, true),
            (&["gzip;q=0"], "application/json", 4096, None, true),
            (&[], "application/json", 4096, None, true),
            (&["gzip"], "application/json", 1000, None, false),
            (&[], "application/json", 1000, None, false),
            (&["gzip"], "text/event-stream", 4096, None, false),
            (&["gzip"], "image/png", 4096, None, false),
        ] {
            let compressed = compress(response(content_type, length), accepting(accepted));
            let headers = compressed.headers();
            let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
            assert_eq!(header("content-encoding").as_deref(), encoding, "{accepted:?} {content_type}");
            assert_eq!(header("vary").is_some(), vary, "{accepted:?} {content_type} {length}");
            let body = to_bytes(compressed.into_body(), 1 << 16).await.unwrap();
            assert_eq!(body.len() < length, encoding.is_some());
        }
    }

    #[test]
    fn client_that_accepts_no_encoding_is_refused() {
        let refused = compress(response("application/json", 10), accepting(&["*;q=0"]));
        assert_eq!(refused.status(), http::StatusCode::NOT_ACCEPTABLE);
    }
}
