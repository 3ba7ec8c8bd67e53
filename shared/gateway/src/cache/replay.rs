//! Serves a run with a cached answer, and records that.

use std::{collections::VecDeque, sync::Arc};

use hearth_domain::{Generation, OnDisconnect, RunId};
use hearth_wire::{ApiError, RunEvent, RunEventBody};

use super::{CacheOutcome, entry::Entry};
use crate::{
    Caller, Gateway, RunStream,
    driver_task::DriverTask,
    error,
    run::{channel, new_run},
};

impl Gateway {
    /// The run `id`, served with a cached answer. It is recorded as any other, in one write.
    ///
    /// # Errors
    /// `internal` if the client goes away and looks for the answer later, and the store can't be written.
    pub(super) async fn replay(
        &self,
        caller: &Caller,
        id: RunId,
        entry: &Arc<Entry>,
        generation: &Generation,
    ) -> Result<RunStream, ApiError> {
        let first: VecDeque<RunEvent> = entry.replay().collect();
        // Nothing follows.
        let (_, rest, end) = channel();
        let goes_on = generation.on_disconnect == OnDisconnect::Continue;
        let is_whole = generation.whole && !goes_on;
        let is_in_head = !is_whole && !self.0.pending.is_down();
        let waits = goes_on || is_in_head || !self.outlives_answers() || self.records_are_late();
        let recording = self.record(new_run(caller, id, &entry.selected()), is_whole);
        let mut receipt = None;
        for event in &first {
            match &event.body {
                RunEventBody::Embedding { .. } => {}
                body if body.is_terminal() => receipt = recording.end(event.clone()),
                _ => recording.note(event.clone()),
            }
        }
        if let Some(receipt) = receipt.filter(|_| waits)
            && !receipt.wait().await
        {
            if goes_on {
                return Err(error::not_recorded());
            }
            tracing::error!(run = %id, "the record of a run that the cache has served is late");
        }
        Ok(RunStream { id, cache: Some(CacheOutcome::Hit), first, rest, driver: DriverTask::none(), end })
    }
}
