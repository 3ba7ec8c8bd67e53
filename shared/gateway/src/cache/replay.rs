//! Serves a run with a kept answer, and has it written down that it did.

use std::{collections::VecDeque, sync::Arc};

use futures::future::OptionFuture;
use hearth_domain::RunId;
use hearth_wire::{RunEvent, RunEventBody};
use tokio::{sync::mpsc, time::timeout};

use super::{CacheOutcome, entry::Entry};
use crate::{
    Caller, Gateway, RunStream,
    drive::BACKLOG,
    driving::Driving,
    record::{self, behind::RECORD},
    run::{EndGuard, new_run},
};

impl Gateway {
    /// The run `id`, served with a kept answer. It is recorded as any other.
    pub(super) fn replay(&self, caller: &Caller, id: RunId, entry: &Arc<Entry>, whole: bool) -> RunStream {
        let first: VecDeque<RunEvent> = entry.replay().collect();
        // Nothing follows but the stream's end, when the other one is dropped.
        let (end, rest) = mpsc::unbounded_channel();
        let run = new_run(caller, id, &entry.selected());
        let behind = &self.0.behind;
        let recording = record::start(self.store().clone(), run, behind, self.together(), whole);
        for event in &first {
            if !matches!(event.body, RunEventBody::Embedding { .. }) {
                recording.note(event.clone());
            }
        }
        let recorded = recording.end();
        behind.told(id);
        if !self.outlives_answers() || behind.len() > BACKLOG {
            // As for any other run: what is said waits for nothing, and the end for the record.
            tokio::spawn(async move {
                if timeout(RECORD, OptionFuture::from(recorded)).await.is_err() {
                    tracing::error!(run = %id, "the record of a run that the cache has served is late");
                }
                drop(end);
            });
        }
        let (cache, driving) = (Some(CacheOutcome::Hit), Driving::none());
        RunStream { id, cache, first, rest, driving, end: EndGuard::default() }
    }
}
