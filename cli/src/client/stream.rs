//! A run's events, as the gateway streams them.

use eventsource_stream::Eventsource;
use futures::{StreamExt, stream::BoxStream};
use hearth_wire::error::ErrorBody;
use serde::Deserialize;

use super::{
    error::{GatewayError, root_cause},
    http::request_id,
};

/// The data of each event, until `[DONE]`.
pub(super) struct Events {
    request_id: Option<String>,
    events: BoxStream<'static, anyhow::Result<String>>,
}

/// An event that says that the run failed; both dialects have it.
#[derive(Deserialize)]
struct Failed {
    error: ErrorBody,
}

impl Events {
    pub(super) fn new(answer: reqwest::Response) -> Self {
        let request_id = request_id(&answer);
        let events = answer.bytes_stream().eventsource();
        let events = events.map(|event| match event {
            Ok(event) => Ok(event.data),
            Err(error) => Err(anyhow::anyhow!("the answer broke off: {}", root_cause(&error))),
        });
        Self { request_id, events: events.boxed() }
    }

    /// The run's id.
    pub(super) fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }

    /// The next event's data; `None` after the last.
    ///
    /// # Errors
    /// The run's own error, or that the stream broke off before its end.
    pub(super) async fn next(&mut self) -> anyhow::Result<Option<String>> {
        let data = match self.events.next().await {
            Some(data) => data?,
            None => anyhow::bail!("the answer broke off: the gateway closed the stream before its end"),
        };
        if data == "[DONE]" {
            return Ok(None);
        }
        if let Ok(failed) = serde_json::from_str::<Failed>(&data) {
            return Err(GatewayError(failed.error).into());
        }
        Ok(Some(data))
    }
}
