//! Stores the answer of a turn with the run's end, before the client has the terminal event.

use std::{sync::Arc, time::Duration};

use hearth_domain::{
    FinishReason, OnDisconnect, Run, RunId, Session, SessionMessage, SessionMessageState, Timestamp,
    run::Failure,
};
use hearth_store::{StoreError, sessions::SessionChange};
use hearth_wire::{
    ApiError, ErrorCode, RunEventBody,
    answer::Answers,
    openai::responses::{ItemLayout, stored_answer},
};
use serde_json::json;
use tokio::time::sleep;

use super::{pending::TurnInProgress, title::TitleRequest, turn_client::TurnClient, turn_lease::SessionTurn};
use crate::{components::Components, error, run::RunStream};

/// Interval before the second attempt at storing an answer; it doubles with each, up to the number of attempts.
const STORE_RETRY_INTERVAL: Duration = Duration::from_millis(50);
const STORE_MAX_ATTEMPTS: u32 = 6;

/// The answer of a turn, as its run's events make it.
pub(super) struct TurnRecorder {
    gateway: Arc<Components>,
    session: Session,
    answer: SessionMessage,
    change: SessionChange,
    answers: Answers,
    layout: ItemLayout,
    on_disconnect: OnDisconnect,
    /// A request for a title, once the answer is complete.
    title: Option<TitleRequest>,
    /// The turn is this process' until the answer is stored.
    _progress: TurnInProgress,
}

impl TurnRecorder {
    pub(super) fn new(
        gateway: Arc<Components>,
        session: Session,
        answer: SessionMessage,
        change: SessionChange,
        title: Option<TitleRequest>,
        on_disconnect: OnDisconnect,
        progress: TurnInProgress,
    ) -> Self {
        let (answers, layout) = (Answers::default(), ItemLayout::default());
        Self { gateway, session, answer, change, answers, layout, on_disconnect, title, _progress: progress }
    }

    /// Forwards the run's events to its client, and stores the answer at the end.
    pub(super) async fn forward(mut self, run: RunStream, mut client: TurnClient, lease: SessionTurn) {
        run.first.iter().for_each(|event| self.apply(&event.body));
        if let Some(last) = run.first.back().filter(|last| last.body.is_terminal()).cloned() {
            // A cached answer is complete already.
            if let Err(error) = self.store_end(&last.body, &lease).await {
                lease.end().await;
                return client.fail(error).await;
            }
            lease.end().await;
            drop(client.begin(run).await);
            return;
        }
        let (mut events, mut reader) = client.begin(run).await;
        let stops_with_client = self.on_disconnect == OnDisconnect::Cancel;
        loop {
            let event = tokio::select! {
                biased;
                event = events.recv() => event,
                () = client.closed(), if stops_with_client || reader.is_some() => {
                    if !stops_with_client {
                        reader = None;
                        continue;
                    }
                    // Dropping the run's events stops the run.
                    drop(events);
                    let _ = self.store_end(&RunEventBody::Cancelled, &lease).await;
                    return lease.end().await;
                }
            };
            let Some(mut event) = event else {
                let error = client.broken_off();
                let _ = self.store_end(&RunEventBody::Error { error: error.clone() }, &lease).await;
                lease.end().await;
                return client.fail(error).await;
            };
            self.apply(&event.body);
            if !event.body.is_terminal() {
                client.send(event).await;
                continue;
            }
            if let Err(error) = self.store_end(&event.body, &lease).await
                && matches!(event.body, RunEventBody::Done { .. })
            {
                event.body = RunEventBody::Error { error };
            }
            // The next turn may begin before the client has the end of this one.
            lease.end().await;
            if let Some(title) = self.title.take()
                && matches!(event.body, RunEventBody::Done { .. })
            {
                let work = title.carry_out(Arc::clone(&self.gateway), self.session.id);
                self.gateway.background.spawn_or_wait(work).await;
            }
            client.send(event).await;
            // The driver's end follows: the client's events end after it.
            while let Some(event) = events.recv().await {
                client.send(event).await;
            }
            return;
        }
    }

    /// Stores the failure of a run that has ended before its first event for the client.
    pub(super) async fn store_failure(mut self, run: &Run, failure: &ApiError, lease: &SessionTurn) {
        self.answer.model = Some(run.selection.model.clone());
        self.answer.provider = Some(run.selection.provider.clone());
        self.answer.usage = Some(run.usage);
        let end = RunEventBody::Error { error: failure.clone() };
        if let Err(error) = self.store_end(&end, lease).await {
            tracing::warn!(run = %run.id, %error, "the failure of a turn can't be stored");
        }
    }

    fn apply(&mut self, event: &RunEventBody) {
        self.answers.apply(event);
        self.layout.add_event(event);
        let answer = &mut self.answer;
        match event {
            RunEventBody::Selected(selected) => {
                answer.model = Some(selected.model.clone());
                answer.provider = Some(selected.provider.clone());
                answer.modality = selected.modality;
            }
            RunEventBody::Artifact { artifact, .. } => answer.artifacts.push(artifact.clone()),
            RunEventBody::Usage { usage } => answer.usage = Some(*usage),
            _ => {}
        }
    }

    /// Stores the answer with the run's end.
    ///
    /// # Errors
    /// `internal` if the store fails, and `conflict` if the session has passed to another turn.
    async fn store_end(&mut self, end: &RunEventBody, lease: &SessionTurn) -> Result<(), ApiError> {
        let answer = &mut self.answer;
        let (state, reason) = match end {
            RunEventBody::Done { finish_reason } => (SessionMessageState::Complete, Some(*finish_reason)),
            RunEventBody::Error { error } => {
                answer.failure =
                    Some(Failure { code: error.code.as_str().to_owned(), message: error.message.clone() });
                (SessionMessageState::Failed, None)
            }
            _ => (SessionMessageState::Cancelled, Some(FinishReason::Cancelled)),
        };
        (answer.state, answer.finish_reason) = (state, reason);
        answer.finished_at = Some(Timestamp::now());
        let first = self.answers.all().first().cloned().unwrap_or_default();
        answer.message = stored_answer(&first, &self.layout, answer.run.unwrap_or_else(RunId::new));
        answer.layout = json!(self.layout);
        answer.state_tokens.clone_from(&self.change.state_tokens);
        let sessions = self.gateway.store.sessions();
        let mut attempt = 0;
        loop {
            attempt += 1;
            let stored = sessions.finish(&lease.lease, &mut self.session, answer, &self.change).await;
            match stored {
                Ok(()) => return Ok(()),
                Err(StoreError::Conflict) => {
                    let message = "the answer is complete, and GET /v1/requests/{id} has it, but its session was changed or \
                                   deleted meanwhile";
                    return Err(ApiError::new(ErrorCode::Conflict, message));
                }
                Err(failure) if attempt == STORE_MAX_ATTEMPTS => return Err(error::no_conversation(failure)),
                Err(_) => sleep(STORE_RETRY_INTERVAL * 2_u32.pow(attempt - 1)).await,
            }
        }
    }
}
