//! Bodies that end cleanly: Lambda's runtime writes an error of a streamed body into the body, as data.

use axum::{body::Body, response::Response};
use futures::StreamExt as _;

/// Replaces the error of a body by its end. A client finds it out by the length, if the response has one.
pub(crate) fn without_errors(response: Response) -> Response {
    response.map(|body| {
        Body::from_stream(body.into_data_stream().take_while(|piece| {
            if let Err(error) = piece {
                tracing::error!(%error, "a response has ended early");
            }
            std::future::ready(piece.is_ok())
        }))
    })
}

#[cfg(test)]
mod tests {
    use std::io;

    use axum::body::{Bytes, to_bytes};

    use super::*;

    #[tokio::test]
    async fn body_ends_at_its_error() {
        let pieces =
            [Ok(Bytes::from_static(b"so far")), Err(io::Error::other("gone")), Ok(Bytes::from_static(b"!"))];
        let response = Response::new(Body::from_stream(futures::stream::iter(pieces)));
        let body = without_errors(response).into_body();
        assert_eq!(to_bytes(body, 100).await.unwrap(), "so far");
    }
}
