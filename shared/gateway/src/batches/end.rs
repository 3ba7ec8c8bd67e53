//! The end of a batch.

use hearth_domain::{BatchDialect, BatchState, EventKind, Timestamp};
use hearth_store::batches::BatchRecord;
use serde_json::json;

use super::{
    body,
    lease::{BatchError, BatchLease},
};
use crate::{Gateway, events::Event};

/// Ends a batch, and deletes what only its process needs.
pub(super) async fn end(
    gateway: &Gateway,
    lease: &mut BatchLease,
    state: BatchState,
) -> Result<(), BatchError> {
    let store = &gateway.0.store;
    let parts: Vec<String> = lease.record().parts().map(str::to_owned).collect();
    let record = lease.record_mut();
    (record.state, record.ended_at, record.waits_for) = (state, Some(Timestamp::now()), None);
    for output in [&mut record.output, &mut record.errors] {
        output.sealed.clear();
        output.tail = None;
    }
    record.position.pending.clear();
    let announcement = match event(lease.record()) {
        Some(event) => Some(gateway.0.events.announce(lease.record().owner(), event).await),
        None => None,
    };
    let written = lease.replace().await;
    if let Some(announcement) = announcement {
        match written.is_ok() {
            true => announcement.send().await,
            false => announcement.withdraw().await,
        }
    }
    written?;
    let record = lease.record();
    for part in &parts {
        if let Err(error) = store.batches().delete_part(record.id, part).await {
            tracing::warn!(batch = %record.id, %error, "a part of a batch's results stays until it expires");
        }
    }
    // The requests of a body of Anthropic's API, which no file of the user's has.
    if record.dialect == BatchDialect::Anthropic
        && let Some(input) = store.files().get(record.input).await?
    {
        store.files().remove(&input).await?;
    }
    Ok(())
}

/// The event of a batch that ends.
fn event(record: &BatchRecord) -> Option<Event> {
    let kind = match record.state {
        BatchState::Completed => EventKind::BatchCompleted,
        BatchState::Failed => EventKind::BatchFailed,
        BatchState::Cancelled => EventKind::BatchCancelled,
        BatchState::Expired => EventKind::BatchExpired,
        BatchState::Validating | BatchState::InProgress | BatchState::Finalizing | BatchState::Cancelling => {
            return None;
        }
    };
    Some(Event::new(kind, record.id.to_string(), json!(body::of_openai(record.clone()))))
}
