//! The stream of a run's events.

use eventsource_stream::Eventsource;
use futures::{StreamExt, stream::BoxStream};
use hearth_wire::error::ErrorBody;
use serde::Deserialize;

use super::error::{GatewayError, root_cause};

/// The data of each event, until `[DONE]`.
pub(crate) struct Events {
    request_id: Option<String>,
    events: BoxStream<'static, anyhow::Result<String>>,
}

/// The event of a failed run, in both dialects.
#[derive(Deserialize)]
struct Failed {
    error: ErrorBody,
}

impl Events {
    pub(crate) fn new(response: reqwest::Response) -> Self {
        let request_id = request_id(&response);
        let events = response.bytes_stream().eventsource();
        let events = events.map(|event| match event {
            Ok(event) => Ok(event.data),
            Err(error) => Err(anyhow::anyhow!("the answer broke off: {}", root_cause(&error))),
        });
        Self { request_id, events: events.boxed() }
    }

    /// The run's id.
    pub(crate) fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }

    /// Returns the next event's data, or `None` after the last.
    ///
    /// # Errors
    /// The run failed, or the stream broke off before its end.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Option<String>> {
        let data = match self.events.next().await {
            Some(data) => data?,
            None => anyhow::bail!("the answer broke off: the gateway closed the stream before its end"),
        };
        if data == "[DONE]" {
            return Ok(None);
        }
        if let Ok(failed) = serde_json::from_str::<Failed>(&data) {
            return Err(GatewayError::new(failed.error).into());
        }
        Ok(Some(data))
    }
}

/// The id of a request, by which its run can be cancelled and found in logs.
pub(crate) fn request_id(response: &reqwest::Response) -> Option<String> {
    response.headers().get("x-request-id")?.to_str().ok().map(str::to_owned)
}
