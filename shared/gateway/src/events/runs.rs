//! Events of runs.

use hearth_domain::{EventKind, Owner, Run, RunState};
use serde_json::json;

use super::{Announcement, Event, Events};

impl Events {
    /// Announces the end of a run, which its record is about to have.
    pub(crate) async fn announce_end(&self, run: &Run) -> Announcement {
        let owner = Owner::of_record(run.owner, run.organisation);
        if !self.may_have_webhooks(owner.organisation) {
            return Announcement::none();
        }
        match end_of(run) {
            Some(event) => self.announce(owner, event).await,
            None => Announcement::none(),
        }
    }
}

/// The event of a run that has ended. It has neither the prompt nor the answer, nor a provider's message, which may quote them:
/// `GET /v1/requests/{id}` has them for the run's owner.
fn end_of(run: &Run) -> Option<Event> {
    let kind = match run.state {
        RunState::Completed => EventKind::RunCompleted,
        RunState::Failed => EventKind::RunFailed,
        RunState::Cancelled => EventKind::RunCancelled,
        _ => return None,
    };
    let data = json!({
        "id": run.id,
        "state": run.state,
        "model": run.selection.model,
        "provider": run.selection.provider,
        "finish_reason": run.finish_reason,
        "usage": run.usage,
        "cost_dollars": run.cost.map(hearth_domain::Cost::dollars),
        "error": run.failure.as_ref().map(|failure| json!({ "code": failure.code })),
        "created_at": run.created_at,
        "finished_at": run.finished_at,
    });
    Some(Event::new(kind, run.id.to_string(), data).at(run.finished_at))
}
