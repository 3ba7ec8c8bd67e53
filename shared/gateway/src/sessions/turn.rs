//! A turn of a session: an input, and the run that answers it with the session as its context.
//!
//! A task of its own carries it out: it takes the session's lease, stores the input and a pending answer, starts the run, and
//! forwards its events to the client. The answer is stored before the client has the event that ends it. While another turn
//! has the session, a streamed response begins with `queued`.

use std::{sync::Arc, time::Duration};

use hearth_domain::{
    AppliedDefinition, ContextOverflow, Delivery, Generation, Message, OnDisconnect, Role, Run, RunId,
    Session, SessionId, SessionMessage, SessionMessageId, SessionStatus, Task, Timestamp,
};
use hearth_store::sessions::{SessionChange, TurnLease};
use hearth_telemetry::traces::TraceContext;
use hearth_wire::{ApiError, ErrorCode, RunEvent, RunEventBody, native::turns::TurnNotes};
use serde_json::Value;
use tokio::{sync::oneshot, time::sleep};

use super::{
    branch_end::is_in_branch,
    pending::TurnInProgress,
    summary::Question,
    title::{TitleRequest, title_of},
    turn_client::TurnClient,
    turn_input::{PreparedTurn, TurnBuilder},
    turn_lease::SessionTurn,
    turn_recorder::TurnRecorder,
};
use crate::{
    Gateway,
    access::{Caller, Credential},
    components::Components,
    definitions::RenderedUse,
    error, generate,
    run::RunStream,
};

/// Wait for the session after which a streamed response begins.
const QUEUED_NOTICE_DELAY: Duration = Duration::from_millis(100);
/// Statuses of errors that are the request's own: the same request has the same error again.
const REFUSED_STATUSES: std::ops::Range<u16> = 400..429;
/// Longest wait for a session, where the settings allow more.
const SESSION_WAIT_TIMEOUT: Duration = Duration::from_secs(3600);

/// A turn, as its request asks for it.
#[derive(Debug, Clone)]
pub struct TurnRequest {
    /// The session.
    pub session: SessionId,
    /// The messages that are answered.
    pub source: TurnSource,
    /// True if the task of the request begins with a system prompt of the request's own.
    pub has_system_prompt: bool,
    /// Number of messages of the task before the input that are the session's.
    pub earlier_count: usize,
    /// Behaviour when the session no longer fits; none for the session's.
    pub overflow: Option<ContextOverflow>,
    /// Options of the request, by which its answer can be generated again: an object with `request`.
    pub options: Value,
    /// State tokens that replace the session's.
    pub state_tokens: Option<Value>,
    /// Fields of the response.
    pub notes: TurnNotes,
}

/// The messages that a turn answers.
#[derive(Debug, Clone)]
pub enum TurnSource {
    /// The input of the request.
    Input,
    /// The input of an earlier turn.
    Again {
        /// The messages.
        input: Vec<Message>,
        /// The message before them.
        before: Option<SessionMessageId>,
        /// The last of them, of which the new answer is another one; none to append the turn to the session.
        parent: Option<Option<SessionMessageId>>,
    },
}

impl Gateway {
    /// Carries out a turn of a session as the run `id`. Turns of one session are carried out one after the other.
    ///
    /// # Errors
    /// As [`Gateway::generate`]; `not_found` if the session isn't the caller's; `conflict` if it is closed, or if other turns
    /// have it for too long.
    #[crate::boxed_future]
    pub async fn generate_turn(
        &self,
        caller: &Caller,
        id: RunId,
        turn: TurnRequest,
        mut generation: Generation,
        delivery: Delivery,
        trace: &TraceContext,
    ) -> Result<RunStream, ApiError> {
        // Before it waits for its place.
        self.session_of_turn(caller, turn.session).await?;
        let turn = self.apply_definitions(caller, turn, &mut generation).await?;
        let (sender, receiver) = oneshot::channel();
        let task = TurnTask {
            gateway: Arc::clone(&self.0),
            caller: caller.clone(),
            id,
            turn,
            delivery,
            trace: trace.clone(),
        };
        tokio::spawn(task.carry_out(generation, sender));
        receiver.await.unwrap_or_else(|_| Err(error::internal(&"the task of a turn has died")))
    }

    /// The caller's session, for a turn.
    ///
    /// # Errors
    /// `not_found` if there is none with this id, or it is another user's; `conflict` if it is closed.
    #[crate::boxed_future]
    pub async fn session_of_turn(&self, caller: &Caller, id: SessionId) -> Result<Session, ApiError> {
        open_session(&self.0, caller, id).await
    }

    /// Applies the schema and the template of a turn's request, so that its input has the template's messages. The options by which
    /// the answer can be generated again name the versions.
    async fn apply_definitions(
        &self,
        caller: &Caller,
        mut turn: TurnRequest,
        generation: &mut Generation,
    ) -> Result<TurnRequest, ApiError> {
        if generation.definitions.is_none() {
            return Ok(turn);
        }
        let rendered_use = match &turn.source {
            TurnSource::Input => {
                RenderedUse::Messages(Some(usize::from(turn.has_system_prompt) + turn.earlier_count))
            }
            TurnSource::Again { .. } => RenderedUse::System,
        };
        Box::pin(self.0.definitions.apply(caller, generation, rendered_use)).await?;
        if let Task::Text(task) = &generation.task {
            turn.has_system_prompt =
                task.messages.first().is_some_and(|message| message.role == Role::System);
        }
        let request = turn.options.get_mut("request").and_then(Value::as_object_mut);
        if let Some((request, applied)) = request.zip(generation.applied.as_ref()) {
            for (field, definition) in [("schema_id", &applied.schema), ("template_id", &applied.template)] {
                if let (true, Some(AppliedDefinition { id, version, .. })) =
                    (request.contains_key(field), definition)
                {
                    request.insert(field.to_owned(), format!("{id}@{version}").into());
                }
            }
        }
        Ok(turn)
    }

    /// The message with the calls that the session's next messages may answer.
    ///
    /// # Errors
    /// `internal` if the store fails.
    #[crate::boxed_future]
    pub async fn calls_of_session(&self, session: &Session) -> Result<Vec<Message>, ApiError> {
        let path = self.0.store.sessions().path(session.id, session.head, 1).await.map_err(error::store)?;
        let messages = path.messages.into_iter().map(|stored| stored.message);
        Ok(messages.filter(|message| !message.tool_calls.is_empty()).collect())
    }
}

async fn open_session(gateway: &Components, caller: &Caller, id: SessionId) -> Result<Session, ApiError> {
    if matches!(caller.credential, Credential::AccessKey(_)) {
        let message =
            "an access key takes no turns in sessions: they are private to the user; use an API token";
        return Err(ApiError::new(ErrorCode::Forbidden, message).at("session_id"));
    }
    let session = gateway.store.sessions().get(id, caller.owner()).await.map_err(error::store)?;
    let session = session.ok_or_else(no_such_session)?;
    if session.status == SessionStatus::Closed {
        let message = "the session is closed: it can be read, and not continued; create another one";
        return Err(ApiError::new(ErrorCode::Conflict, message).at("session_id"));
    }
    Ok(session)
}

/// The error for a session that isn't stored, or is another user's.
fn no_such_session() -> ApiError {
    ApiError::new(ErrorCode::NotFound, "there is no session with this id").at("session_id")
}

/// True if the new answer follows a message that its request names, which may be in another branch.
fn parent_is_named(source: &TurnSource) -> bool {
    matches!(source, TurnSource::Again { parent: Some(_), .. })
}

/// The error of a turn whose process has no time left to wait.
fn still_in_use() -> ApiError {
    let message = "earlier turns of the session are still in progress; wait for their ends, or cancel them";
    ApiError::new(ErrorCode::Conflict, message)
}

/// The task that carries out a turn.
struct TurnTask {
    gateway: Arc<Components>,
    caller: Caller,
    id: RunId,
    turn: TurnRequest,
    delivery: Delivery,
    trace: TraceContext,
}

impl TurnTask {
    async fn carry_out(self, generation: Generation, sender: oneshot::Sender<Result<RunStream, ApiError>>) {
        let stops_with_client = generation.on_disconnect == OnDisconnect::Cancel;
        let mut client = TurnClient::new(sender, stops_with_client, generation.applied.clone());
        let Some(place) = self.wait_for_session(&mut client, generation.deadline).await else { return };
        let lease = match place {
            Ok(lease) => lease,
            Err(error) => return client.fail(error).await,
        };
        let progress = self.gateway.turns_in_progress.enter(self.id);
        // Boxed: the future of a request is large.
        match Box::pin(self.start(&lease, progress, generation)).await {
            Ok((run, recorder)) => recorder.forward(run, client, lease).await,
            Err(error) => {
                lease.end().await;
                client.fail(error).await;
            }
        }
    }

    /// Waits for the session's lease; none if the client goes away before.
    async fn wait_for_session(
        &self,
        client: &mut TurnClient,
        deadline: Option<Timestamp>,
    ) -> Option<Result<SessionTurn, ApiError>> {
        let time_left = deadline.map_or(Duration::MAX, |at| Timestamp::now().until(at) / 2);
        let over = sleep(time_left.min(SESSION_WAIT_TIMEOUT));
        tokio::pin!(over);
        let mut lease = Box::pin(self.gateway.session_turns.begin(self.turn.session, self.id));
        let mut has_notice = self.delivery == Delivery::Whole;
        loop {
            tokio::select! {
                biased;
                lease = &mut lease => return Some(lease),
                () = client.gone() => return None,
                () = &mut over => return Some(Err(still_in_use())),
                () = sleep(QUEUED_NOTICE_DELAY), if !has_notice => {
                    has_notice = true;
                    let body = RunEventBody::Queued { position: 1 };
                    client.begin_early(self.id, RunEvent { seq: 0, body });
                }
            }
        }
    }

    /// Stores the input, and starts the run.
    async fn start(
        &self,
        lease: &SessionTurn,
        progress: TurnInProgress,
        generation: Generation,
    ) -> Result<(RunStream, TurnRecorder), ApiError> {
        let gateway = &self.gateway;
        let mut session = open_session(gateway, &self.caller, self.turn.session).await?;
        let head = session.head;
        let prepared =
            TurnBuilder::new(gateway, &self.caller, &session, &self.turn, self.id).build(generation).await?;
        let PreparedTurn { generation, messages, parent, summary, first_prompt, warnings } = prepared;
        let on_disconnect = generation.on_disconnect;
        let question = matches!(generation.task, Task::Text(_)).then(|| Question::of(&generation));
        let leaves_branch = match parent {
            Some(parent) if parent_is_named(&self.turn.source) => {
                !is_in_branch(gateway, session.id, head, parent).await?
            }
            _ => false,
        };
        let change = SessionChange { summary, leaves_branch, ..SessionChange::default() };
        let sessions = gateway.store.sessions();
        sessions.reserve_for(&mut session, &messages).await.map_err(error::store_of_turn)?;
        let appended = sessions.append(&lease.lease, &mut session, parent, messages, &change).await;
        let mut appended = appended.map_err(error::store_of_turn)?;
        let answer = appended.last().cloned().ok_or_else(|| error::internal(&"a turn has no answer"))?;
        self.turn.notes.update(|fields| {
            fields.session_id = Some(session.id);
            fields.message_id = Some(answer.id);
            fields.state_tokens = self.turn.state_tokens.clone().or_else(|| session.state_tokens.clone());
            fields.warnings = warnings;
        });
        let trace = &self.trace;
        let run = generate::generate(gateway, &self.caller, self.id, generation, self.delivery, trace).await;
        let change = SessionChange {
            state_tokens: self.turn.state_tokens.clone(),
            automatic_title: first_prompt.as_deref().and_then(title_of).filter(|_| session.title.is_none()),
            ..SessionChange::default()
        };
        let run = match run {
            Ok(run) => run,
            Err(error) => {
                match self.failed_run(&error).await {
                    None => self.discard(&lease.lease, &mut session, head, &mut appended).await,
                    Some(run) => {
                        let gateway = Arc::clone(gateway);
                        let recorder = TurnRecorder::new(
                            gateway,
                            session,
                            answer,
                            change,
                            None,
                            on_disconnect,
                            progress,
                        );
                        recorder.store_failure(&run, &error, lease).await;
                    }
                }
                return Err(error);
            }
        };
        let title = first_prompt
            .filter(|_| self.gateway.session_settings.title_by_model && change.automatic_title.is_some());
        let title = title.zip(question).map(|(first_prompt, question)| TitleRequest {
            caller: self.caller.clone(),
            question,
            first_prompt,
        });
        let recorder =
            TurnRecorder::new(Arc::clone(gateway), session, answer, change, title, on_disconnect, progress);
        Ok((run, recorder))
    }

    /// The record of the turn's run, which has failed before its first event for the client; none for a turn that was refused: before
    /// its run began, or by the provider for the request's sake.
    async fn failed_run(&self, error: &ApiError) -> Option<Run> {
        if REFUSED_STATUSES.contains(&error.code.status()) {
            return None;
        }
        match self.gateway.requests.get(&self.caller, self.id).await {
            Ok(run) => Some(run),
            Err(error) if error.code == ErrorCode::NotFound => None,
            Err(error) => {
                tracing::warn!(run = %self.id, %error, "the record of a failed turn can't be read");
                None
            }
        }
    }

    /// Removes the messages of a turn that was refused: its client has the error, and sends another request.
    async fn discard(
        &self,
        lease: &TurnLease,
        session: &mut Session,
        head: Option<SessionMessageId>,
        messages: &mut [SessionMessage],
    ) {
        let sessions = self.gateway.store.sessions();
        let head_from = messages.last().map(|last| last.id);
        let change = SessionChange { head: Some(head), head_from, ..SessionChange::default() };
        let mut result = sessions.change(lease, session, &change).await;
        for message in messages {
            message.deleted_at = Some(Timestamp::now());
            message.message = Message::new(message.message.role, "");
            message.request = Value::Null;
            result = result.and(sessions.put_message(session.id, message).await);
        }
        if let Err(error) = result {
            tracing::error!(%error, run = %self.id, "the messages of a refused turn can't be removed");
        }
    }
}
