//! The caller and the routing of a run that waits, read again: both may change in a day.

use std::{sync::Arc, time::Duration};

use hearth_domain::{Action, Timestamp};
use hearth_wire::{ApiError, ErrorCode};
use tokio::time::Instant;

use super::driver::Driver;
use crate::{access::Caller, configuration::RoutingSnapshot};

/// Age at which a waiting run's caller and routing are read again: that at which other requests read theirs.
const RENEWAL_INTERVAL: Duration = Duration::from_secs(10);

/// The caller of a run, and the routing, as they are now.
pub(super) struct Renewal {
    pub(super) caller: Caller,
    pub(super) routing: Arc<RoutingSnapshot>,
}

impl Driver {
    /// The caller and the routing as they are now.
    ///
    /// # Errors
    /// `unauthorized` or `forbidden` if the caller may not generate any longer; `internal` if the store fails.
    pub(super) async fn read_again(&self) -> Result<Renewal, ApiError> {
        let context = &self.run.output.context;
        let caller = context.access.renew(&self.run.caller).await.map_err(ended_meanwhile)?;
        caller.require(Action::Generate)?;
        Ok(Renewal { caller, routing: context.router.current_routing().await })
    }

    /// The same, if it is due. A store that fails is asked again at the next look.
    ///
    /// # Errors
    /// `unauthorized` or `forbidden` if the caller may not generate any longer.
    pub(super) async fn read_again_if_due(&self) -> Result<Option<Renewal>, ApiError> {
        let has_ended = self.run.caller.expires_at.is_some_and(|at| at <= Timestamp::now());
        if self.renewed_at.elapsed() < RENEWAL_INTERVAL && !has_ended {
            return Ok(None);
        }
        match self.read_again().await {
            Ok(renewal) => Ok(Some(renewal)),
            Err(error) if matches!(error.code, ErrorCode::Unauthorized | ErrorCode::Forbidden) => Err(error),
            Err(error) => {
                let (run, trace_id) = (self.run.output.id, self.run.output.trace.id());
                tracing::warn!(%run, trace_id, %error, "the caller of a waiting run can't be read again");
                Ok(None)
            }
        }
    }

    /// Has the rest of the run follow this.
    pub(super) fn renew(&mut self, renewal: Renewal) {
        let Renewal { caller, routing } = renewal;
        (self.run.caller, self.routing, self.renewed_at) = (caller, routing, Instant::now());
    }
}

/// The error of a request whose credential has ended while it waited.
fn ended_meanwhile(error: ApiError) -> ApiError {
    if error.code != ErrorCode::Unauthorized {
        return error;
    }
    let message = "the credential of this request ended while the request waited for a node; send it again with a valid one";
    ApiError { message: message.to_owned(), ..error }
}
