//! Conversations that a next request can continue.
//!
//! A run's record has the model's answer, and not the prompt. Where a client may continue from a run without sending
//! everything again, the whole conversation is stored when the run ends, before the client has the terminal event.

use std::{sync::Arc, time::Duration};

use hearth_domain::{Message, OnDisconnect, Owner, Role, Run, RunId, RunState, Timestamp};
use hearth_store::Store;
use hearth_wire::{ApiError, RunEvent, RunEventBody, answer::Answers, openai::responses::stored_answer};
use tokio::sync::mpsc;

use crate::{Gateway, access::Caller, error, record::Records, run::EventSender, run::RunStream};

pub use hearth_store::conversations::Conversation;

/// Time after a run's end within which its conversation is stored, unless the store fails.
const STORE_WAIT_TIMEOUT: Duration = Duration::from_secs(5);
/// Interval of the reads of a conversation that is about to be stored.
const STORE_POLL_INTERVAL: Duration = Duration::from_millis(50);

/// The stored conversations.
#[derive(Debug)]
pub(crate) struct Conversations {
    store: Store,
    records: Arc<Records>,
}

impl Conversations {
    pub(crate) fn new(store: Store, records: Arc<Records>) -> Self {
        Self { store, records }
    }

    /// The caller's conversation that ends with the run `id`, with its answer.
    pub(crate) async fn get(&self, caller: &Caller, id: RunId) -> Result<Conversation, ApiError> {
        let mut conversation = self.get_open(caller, id).await?;
        if std::mem::take(&mut conversation.is_open) {
            // Its end couldn't be stored, if the run is complete.
            let run = self.store.runs().get(id).await.map_err(error::store)?;
            let run = run.filter(|run| run.state == RunState::Completed);
            let run = run.ok_or_else(error::unfinished_response)?;
            let tool_calls = run.tool_calls;
            conversation.messages.push(Message { tool_calls, ..Message::new(Role::Assistant, run.text) });
        }
        Ok(conversation)
    }

    /// The caller's conversation that ends with the run `id`, which may go on: then its answer isn't there.
    pub(crate) async fn get_open(&self, caller: &Caller, id: RunId) -> Result<Conversation, ApiError> {
        let conversation = self.store.conversations().get(id, caller.owner()).await.map_err(error::store)?;
        conversation.ok_or_else(error::no_such_response)
    }

    /// The caller's conversation that ends with `run`. That of a run which has just ended is stored in a moment.
    pub(crate) async fn of_run(&self, caller: &Caller, run: &Run) -> Result<Conversation, ApiError> {
        let stored_by = run.finished_at.unwrap_or(run.created_at).plus(STORE_WAIT_TIMEOUT);
        loop {
            let conversation = self.get_open(caller, run.id).await?;
            let is_expected = conversation.is_open && run.state == RunState::Completed;
            if !is_expected || stored_by <= Timestamp::now() {
                return Ok(conversation);
            }
            tokio::time::sleep(STORE_POLL_INTERVAL).await;
        }
    }

    /// Stores a conversation before the run `id` begins, so that its client finds it while the run goes on.
    pub(crate) async fn open(
        &self,
        caller: &Caller,
        id: RunId,
        conversation: &Conversation,
    ) -> Result<(), ApiError> {
        let open = Conversation { is_open: true, ..conversation.clone() };
        let stored = self.records.put_conversation(id, caller.owner(), &open).await;
        stored.map_err(|failure| {
            tracing::error!(error = %failure, "a conversation can't be stored");
            error::not_recorded(failure.disk_problem())
        })
    }

    /// Deletes the caller's conversation that ends with the run `id`.
    pub(crate) async fn delete(&self, caller: &Caller, id: RunId) -> Result<(), ApiError> {
        let existed = self.store.conversations().delete(id, caller.owner()).await.map_err(error::store)?;
        if existed { Ok(()) } else { Err(error::no_such_response()) }
    }

    /// Has the conversation stored with the run's answer, before its client has the terminal event.
    pub(crate) async fn store_after(
        &self,
        caller: &Caller,
        run: RunStream,
        conversation: Conversation,
        on_disconnect: OnDisconnect,
    ) -> Result<RunStream, ApiError> {
        let mut recorder = ConversationRecorder {
            records: Arc::clone(&self.records),
            owner: caller.owner(),
            id: run.id,
            conversation,
            answers: Answers::default(),
            on_disconnect,
        };
        for event in &run.first {
            recorder.apply(&event.body);
        }
        if matches!(run.first.back(), Some(RunEvent { body: RunEventBody::Done { .. }, .. })) {
            recorder.store().await?;
            return Ok(run);
        }
        let RunStream { id, cache, rate, definitions, first, rest: events, mut driver, end, reader } = run;
        driver.detach();
        let (client, rest) = end.sender();
        tokio::spawn(recorder.forward(events, client));
        Ok(RunStream { id, cache, rate, definitions, first, rest, driver, end, reader })
    }
}

impl Gateway {
    /// Stores `conversation` before the run `id` begins: a client that is to read the answer later finds it meanwhile.
    ///
    /// # Errors
    /// `internal` if the store fails.
    #[crate::boxed_future]
    pub async fn open_conversation(
        &self,
        caller: &Caller,
        id: RunId,
        conversation: &Conversation,
    ) -> Result<(), ApiError> {
        self.0.conversations.open(caller, id, conversation).await
    }

    /// The caller's run `id` and the conversation that ends with it. While that is open, the answer isn't in it.
    ///
    /// # Errors
    /// `not_found` if no conversation is stored, or it is another user's.
    #[crate::boxed_future]
    pub async fn response(&self, caller: &Caller, id: RunId) -> Result<(Run, Conversation), ApiError> {
        self.0.conversations.get_open(caller, id).await?;
        let run = self.0.requests.get(caller, id).await?;
        let conversation = self.0.conversations.of_run(caller, &run).await?;
        Ok((run, conversation))
    }

    /// The caller's conversation that ends with the run `id`, with its answer.
    ///
    /// # Errors
    /// `not_found` if none is stored, or it is another user's; `conflict` if its run has no whole answer.
    #[crate::boxed_future]
    pub async fn conversation(&self, caller: &Caller, id: RunId) -> Result<Conversation, ApiError> {
        self.0.conversations.get(caller, id).await
    }

    /// Deletes the caller's conversation that ends with the run `id`. The run's record stays.
    ///
    /// # Errors
    /// `not_found` as for [`Gateway::conversation`].
    #[crate::boxed_future]
    pub async fn forget_conversation(&self, caller: &Caller, id: RunId) -> Result<(), ApiError> {
        self.0.conversations.delete(caller, id).await
    }

    /// Stores `conversation` with the run's first answer when the run ends; returns the run's events. The terminal event
    /// follows the write, so that a client that has it can continue from the run; if the write fails, an error takes its
    /// place. With [`OnDisconnect::Continue`] the conversation is stored without its client too.
    ///
    /// # Errors
    /// `internal` if the answer is complete already, as a cached one is, and the conversation can't be stored.
    #[crate::boxed_future]
    pub async fn keep_conversation(
        &self,
        caller: &Caller,
        run: RunStream,
        conversation: Conversation,
        on_disconnect: OnDisconnect,
    ) -> Result<RunStream, ApiError> {
        self.0.conversations.store_after(caller, run, conversation, on_disconnect).await
    }
}

/// Reads a run's events before its client does, and stores the conversation.
struct ConversationRecorder {
    records: Arc<Records>,
    owner: Owner,
    id: RunId,
    conversation: Conversation,
    answers: Answers,
    on_disconnect: OnDisconnect,
}

impl ConversationRecorder {
    fn apply(&mut self, event: &RunEventBody) {
        self.answers.apply(event);
        self.conversation.layout.add_event(event);
    }

    /// Forwards the run's events to its client.
    async fn forward(mut self, mut events: mpsc::Receiver<RunEvent>, client: EventSender) {
        let stops_with_client = self.on_disconnect == OnDisconnect::Cancel;
        loop {
            let event = tokio::select! {
                event = events.recv() => event,
                // The client has gone: dropping the run's events stops the run.
                () = client.events.closed(), if stops_with_client => return,
            };
            let Some(mut event) = event else { return };
            self.apply(&event.body);
            if matches!(event.body, RunEventBody::Done { .. })
                && let Err(error) = self.store().await
            {
                event.body = RunEventBody::Error { error };
            }
            let _ = client.events.send(event).await;
        }
    }

    async fn store(&mut self) -> Result<(), ApiError> {
        let mut conversation = std::mem::take(&mut self.conversation);
        let answer = self.answers.all().first();
        let answer = answer.map(|answer| stored_answer(answer, &conversation.layout, self.id));
        conversation.messages.extend(answer);
        let stored = self.records.put_conversation(self.id, self.owner, &conversation).await;
        stored.map_err(error::no_conversation)
    }
}
