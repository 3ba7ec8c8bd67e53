//! Conversations that a next request goes on from.
//!
//! A run's record has what was said by the model, and not what was said to it. Where a client wants to go
//! on from a run without saying everything again, the whole conversation is kept when the run ends.

use std::collections::VecDeque;

use hearth_domain::{Message, Role, RunId, UserId};
use hearth_wire::{ApiError, RunEvent, RunEventBody, answer::Answers};
use tokio::sync::mpsc;

use crate::{Caller, Gateway, RunStream, error};

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

    /// The same run; when it ends by itself, `said` and its first answer are kept as the caller's
    /// conversation. The event that ends it comes after that: whoever has it can go on from the run.
    /// `outlives`: the run goes on when nobody reads it any more, and is kept then too.
    #[must_use]
    pub fn keep_conversation(
        &self,
        caller: &Caller,
        run: RunStream,
        said: Conversation,
        outlives: bool,
    ) -> RunStream {
        let (client, rest) = mpsc::unbounded_channel();
        let RunStream { id, cache, first, rest: events, mut driving, end } = run;
        driving.alone();
        let keeper = Keeper {
            gateway: self.clone(),
            owner: caller.user,
            id,
            said,
            answers: Answers::default(),
            outlives,
        };
        tokio::spawn(keeper.run(first.clone(), events, client));
        RunStream { id, cache, first, rest, driving, end }
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

    async fn run(
        mut self,
        first: VecDeque<RunEvent>,
        mut events: mpsc::UnboundedReceiver<RunEvent>,
        client: mpsc::UnboundedSender<RunEvent>,
    ) {
        for event in first {
            self.take(&event.body);
        }
        loop {
            let event = tokio::select! {
                event = events.recv() => event,
                // Nobody reads: letting go of the run's events tells it so.
                () = client.closed(), if !self.outlives => return,
            };
            let Some(event) = event else { return };
            self.take(&event.body);
            if matches!(event.body, RunEventBody::Done { .. }) {
                // With the run's record, which is there when its stream ends.
                let recorded = async { while events.recv().await.is_some() {} };
                tokio::join!(self.keep(), recorded);
            }
            let _ = client.send(event);
        }
    }

    async fn keep(&mut self) {
        let mut said = std::mem::take(&mut self.said);
        let answer = self.answers.all().first().cloned().unwrap_or_default();
        let text = answer.said();
        said.messages.push(Message {
            reasoning: answer.reasoning,
            tool_calls: answer.tool_calls,
            ..Message::new(Role::Assistant, text)
        });
        if let Err(error) = self.gateway.store().conversations().put(self.id, self.owner, &said).await {
            tracing::error!(run = %self.id, %error, "a conversation can't be kept; no request can go on from it");
        }
    }
}
