//! Answers whose process has died before their end: each gets the text that its run has recorded, when it is next read.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use hearth_domain::{Run, RunId, RunState, SessionId, SessionMessage, SessionMessageState, Timestamp};
use hearth_store::StoreError;
use hearth_wire::{
    ApiError,
    answer::{Answer, Answers},
    openai::responses::{ItemLayout, stored_answer},
};
use serde_json::json;

use crate::{components::Components, error};

/// The turns that this process carries out.
#[derive(Debug, Clone, Default)]
pub(crate) struct TurnsInProgress(Arc<Mutex<HashSet<RunId>>>);

/// A turn that this process carries out, until it is dropped.
#[derive(Debug)]
pub(super) struct TurnInProgress {
    turns: TurnsInProgress,
    run: RunId,
}

impl TurnsInProgress {
    /// Adds a turn.
    pub(super) fn enter(&self, run: RunId) -> TurnInProgress {
        self.runs().insert(run);
        TurnInProgress { turns: self.clone(), run }
    }

    fn contains(&self, run: RunId) -> bool {
        self.runs().contains(&run)
    }

    fn runs(&self) -> std::sync::MutexGuard<'_, HashSet<RunId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for TurnInProgress {
    fn drop(&mut self) {
        self.turns.runs().remove(&self.run);
    }
}

/// Ends the answers among these messages of a session that no process carries out any more, and stores them so.
///
/// # Errors
/// `internal` if the store fails.
pub(crate) async fn settle<'a>(
    gateway: &Components,
    session: SessionId,
    messages: impl IntoIterator<Item = &'a mut SessionMessage>,
) -> Result<(), ApiError> {
    for message in messages {
        if message.state == SessionMessageState::Pending && message.deleted_at.is_none() {
            settle_one(gateway, session, message).await?;
        }
    }
    Ok(())
}

async fn settle_one(
    gateway: &Components,
    session: SessionId,
    message: &mut SessionMessage,
) -> Result<(), ApiError> {
    let Some(run) = message.run else { return Ok(()) };
    if gateway.turns_in_progress.contains(run) || is_elsewhere(gateway, session, run).await? {
        return Ok(());
    }
    let mut record = gateway.store.runs().get(run).await.map_err(error::store)?;
    if let Some(open) = record.as_ref().filter(|record| !record.state.is_terminal())
        && !gateway.records.are_shared()
    {
        if gateway.runs.is_active(run)
            || gateway.records.is_pending(run)
            || !gateway.lost_runs.end_unless_continued(open).await
        {
            // Its record is being written, or its node goes on with it.
            return Ok(());
        }
        record = gateway.store.runs().get(run).await.map_err(error::store)?;
    }
    let mut ended = message.clone();
    match record {
        Some(record) if record.state.is_terminal() => apply_record(&mut ended, &record),
        Some(record) => {
            let (answer, layout) = answer_so_far(gateway, run).await?;
            ended.message = stored_answer(&answer, &layout, run);
            ended.layout = json!(layout);
            ended.state = SessionMessageState::Interrupted;
            ended.model = Some(record.selection.model);
            ended.finished_at = Some(Timestamp::now());
        }
        None => {
            ended.state = SessionMessageState::Interrupted;
            ended.finished_at = Some(Timestamp::now());
        }
    }
    match gateway.store.sessions().put_message(session, &mut ended).await {
        Ok(()) => *message = ended,
        // Another reader was faster, or its user has deleted it.
        Err(StoreError::Conflict) => {
            let id = message.id;
            if let Some(stored) = gateway.store.sessions().message(session, id).await.map_err(error::store)? {
                *message = stored;
            }
        }
        Err(failure) => return Err(error::store(failure)),
    }
    Ok(())
}

/// The first answer of a run as far as its events are stored, with the order of its items. The events are read page by page: an
/// answer is smaller than its events.
async fn answer_so_far(gateway: &Components, run: RunId) -> Result<(Answer, ItemLayout), ApiError> {
    let (mut answers, mut layout, mut seq) = (Answers::default(), ItemLayout::default(), 0);
    loop {
        let page = gateway.store.runs().events_page(run, seq).await.map_err(error::store)?;
        let Some(last) = page.last() else { break };
        seq = last.seq;
        for event in &page {
            answers.apply(&event.body);
            layout.add_event(&event.body);
        }
    }
    Ok((answers.all().first().cloned().unwrap_or_default(), layout))
}

/// True if a process that shares the store may carry out the turn.
async fn is_elsewhere(gateway: &Components, session: SessionId, run: RunId) -> Result<bool, ApiError> {
    if !gateway.records.are_shared() {
        return Ok(false);
    }
    let holder = gateway.store.sessions().leased_by(session).await.map_err(error::store)?;
    Ok(holder == Some(run))
}

fn apply_record(message: &mut SessionMessage, run: &Run) {
    message.message.content.clone_from(&run.text);
    message.message.tool_calls.clone_from(&run.tool_calls);
    message.artifacts.clone_from(&run.artifacts);
    message.state = match run.state {
        RunState::Completed => SessionMessageState::Complete,
        RunState::Cancelled => SessionMessageState::Cancelled,
        _ => SessionMessageState::Interrupted,
    };
    message.model = Some(run.selection.model.clone());
    message.provider = Some(run.selection.provider.clone());
    message.usage = Some(run.usage);
    message.finish_reason = run.finish_reason;
    message.failure.clone_from(&run.failure);
    message.finished_at = run.finished_at;
}
