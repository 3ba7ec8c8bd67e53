//! Bodies that end after the spans of their requests are delivered: Lambda freezes the process after a response.

use axum::{
    body::{Body, Bytes},
    response::Response,
};
use futures::{StreamExt as _, stream};
use hearth_telemetry::traces;

/// Delays the end of a streamed body until the spans are delivered, for the time of the settings at most. Its client
/// has all of the answer by then.
pub(crate) fn flushed(response: Response) -> Response {
    if !traces::is_on() {
        return response;
    }
    response.map(|body| {
        // The inner body is at its end when the second stream begins, so its spans have ended.
        let flush = stream::once(traces::flush()).filter_map(async |_| None::<Result<Bytes, axum::Error>>);
        Body::from_stream(body.into_data_stream().chain(Box::pin(flush)))
    })
}
