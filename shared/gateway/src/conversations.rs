//! Conversations that a next request goes on from.
//!
//! A run's record has the model's answer, and not the prompt. Where a client may go on from a run without sending
//! everything again, the whole conversation is stored when the run ends, before the client learns of the end.

use hearth_domain::{Message, Role, RunId, UserId};
use hearth_wire::{ApiError, RunEvent, RunEventBody, answer::Answers};
use tokio::sync::mpsc;

use crate::{Caller, Gateway, RunStream, error, run::EventSender};

pub use hearth_store::conversations::Conversation;

impl Gateway {
    /// The caller's conversation that ends with the run `id`.
    ///
    /// # Errors
    /// `not_found` if none was kept, or it is somebody else's.
    pub async fn conversation(&self, caller: &Caller, id: RunId) -> Result<Conversation, ApiError> {
        let kept = self.store().conversations().get(id, caller.user).await.map_err(error::store)?;
        kept.ok_or_else(error::no_such_response)
    }

    /// Deletes the caller's conversation that ends with the run `id`. The run's record stays.
    ///
    /// # Errors
    /// `not_found` as for [`Gateway::conversation`].
    pub async fn forget_conversation(&self, caller: &Caller, id: RunId) -> Result<(), ApiError> {
        let there = self.store().conversations().delete(id, caller.user).await.map_err(error::store)?;
        if there { Ok(()) } else { Err(error::no_such_response()) }
    }

    /// The same run; when it ends by itself, `said` and its first answer are stored as the caller's conversation. The
    /// event that ends the run comes after that, so a client that has it can go on from the run; if the conversation can't
    /// be stored, an error comes in its place. `outlives`: the run goes on without its client, and is stored then too.
    ///
    /// # Errors
    /// `internal` if the answer is there already, as one of the cache is, and the conversation can't be stored.
    pub async fn keep_conversation(
        &self,
        caller: &Caller,
        run: RunStream,
        said: Conversation,
        outlives: bool,
    ) -> Result<RunStream, ApiError> {
        let mut keeper = Keeper {
            gateway: self.clone(),
            owner: caller.user,
            id: run.id,
            said,
            answers: Answers::default(),
            outlives,
        };
        for event in &run.first {
            keeper.take(&event.body);
        }
        if matches!(run.first.back(), Some(RunEvent { body: RunEventBody::Done { .. }, .. })) {
            keeper.keep().await?;
            return Ok(run);
        }
        let RunStream { id, cache, first, rest: events, mut driver, end } = run;
        driver.detach();
        let (client, rest) = end.sender();
        tokio::spawn(keeper.run(events, client));
        Ok(RunStream { id, cache, first, rest, driver, end })
    }
}

/// Reads a run's events before its client does.
struct Keeper {
    gateway: Gateway,
    owner: UserId,
    id: RunId,
    said: Conversation,
    answers: Answers,
    outlives: bool,
}

impl Keeper {
    fn take(&mut self, event: &RunEventBody) {
        self.answers.take(event);
        self.said.layout.note(event);
    }

    async fn run(mut self, mut events: mpsc::Receiver<RunEvent>, client: EventSender) {
        loop {
            let event = tokio::select! {
                event = events.recv() => event,
                // The client has gone: dropping the run's events stops the run.
                () = client.events.closed(), if !self.outlives => return,
            };
            let Some(mut event) = event else { return };
            self.take(&event.body);
            if matches!(event.body, RunEventBody::Done { .. })
                && let Err(error) = self.keep().await
            {
                event.body = RunEventBody::Error { error };
            }
            let _ = client.events.send(event).await;
        }
    }

    async fn keep(&mut self) -> Result<(), ApiError> {
        let mut said = std::mem::take(&mut self.said);
        let answer = self.answers.all().first().cloned().unwrap_or_default();
        let text = answer.said();
        said.messages.push(Message {
            reasoning: answer.reasoning,
            tool_calls: answer.tool_calls,
            ..Message::new(Role::Assistant, text)
        });
        let stored = self.gateway.0.writer.put_conversation(self.id, self.owner, &said).await;
        stored.map_err(error::no_conversation)
    }
}
