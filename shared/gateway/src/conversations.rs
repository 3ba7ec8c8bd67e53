//! Conversations that a next request can continue.
//!
//! A run's record has the model's answer, and not the prompt. Where a client may continue from a run without sending
//! everything again, the whole conversation is stored when the run ends, before the client has the terminal event.

use std::sync::Arc;

use hearth_domain::{Message, OnDisconnect, Role, RunId, UserId};
use hearth_store::Store;
use hearth_wire::{ApiError, RunEvent, RunEventBody, answer::Answers};
use tokio::sync::mpsc;

use crate::{access::Caller, error, record::Records, run::EventSender, run::RunStream};

pub use hearth_store::conversations::Conversation;

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

    /// The caller's conversation that ends with the run `id`.
    pub(crate) async fn get(&self, caller: &Caller, id: RunId) -> Result<Conversation, ApiError> {
        let conversation = self.store.conversations().get(id, caller.user).await.map_err(error::store)?;
        conversation.ok_or_else(error::no_such_response)
    }

    /// Deletes the caller's conversation that ends with the run `id`.
    pub(crate) async fn delete(&self, caller: &Caller, id: RunId) -> Result<(), ApiError> {
        let existed = self.store.conversations().delete(id, caller.user).await.map_err(error::store)?;
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
            owner: caller.user,
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
        let RunStream { id, cache, first, rest: events, mut driver, end } = run;
        driver.detach();
        let (client, rest) = end.sender();
        tokio::spawn(recorder.forward(events, client));
        Ok(RunStream { id, cache, first, rest, driver, end })
    }
}

/// Reads a run's events before its client does, and stores the conversation.
struct ConversationRecorder {
    records: Arc<Records>,
    owner: UserId,
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
        let answer = self.answers.all().first().cloned().unwrap_or_default();
        let text = answer.text_with_refusal();
        conversation.messages.push(Message {
            reasoning: answer.reasoning,
            tool_calls: answer.tool_calls,
            ..Message::new(Role::Assistant, text)
        });
        let stored = self.records.put_conversation(self.id, self.owner, &conversation).await;
        stored.map_err(error::no_conversation)
    }
}
