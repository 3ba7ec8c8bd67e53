//! The turn of a session that is generated again.

use hearth_domain::{
    Message, Role, RunId, Session, SessionId, SessionMessage, SessionMessageId, SessionMessageState,
};
use hearth_wire::{
    ApiError, ErrorCode,
    native::turns::{RegenerateMode, RegenerateRequest},
};
use serde_json::Value;

use super::{branch_end::read_branch_end, history::sent_message, turn::TurnSource};
use crate::{Gateway, access::Caller, error};

/// Field of an answer's options in place of those that are too long to be stored.
pub(super) const TOO_LONG: &str = "too_long";
/// Messages of a page while a request is looked for.
const PAGE_MESSAGES: u32 = 200;
/// Largest number of messages of one input.
const INPUT_MAX_COUNT: u32 = 100;

/// A turn that is generated again.
#[derive(Debug, Clone)]
pub struct EarlierTurn {
    /// Its session.
    pub session: Session,
    /// Its messages, and the place of the new answer.
    pub source: TurnSource,
    /// Options of its request: an object with `request`; null if they aren't stored.
    pub options: Value,
}

impl EarlierTurn {
    /// The messages of its input.
    #[must_use]
    pub fn input(&self) -> &[Message] {
        match &self.source {
            TurnSource::Again { input, .. } => input,
            TurnSource::Input => &[],
        }
    }
}

impl Gateway {
    /// The turn of the caller's session that a request names: by its request, by one of its messages, or the latest one.
    ///
    /// # Errors
    /// `not_found`, with the field, if there is none; `conflict` if the session is closed or empty.
    #[crate::boxed_future]
    pub async fn earlier_turn(
        &self,
        caller: &Caller,
        id: SessionId,
        request: &RegenerateRequest,
    ) -> Result<EarlierTurn, ApiError> {
        let session = self.session_of_turn(caller, id).await?;
        let named = match (request.request_id, request.message_id) {
            (Some(_), Some(_)) => {
                let message = "send request_id or message_id, not both";
                return Err(ApiError::invalid("request_id", message));
            }
            (Some(run), None) => self.answer_of_run(id, run).await?.ok_or_else(no_such_turn)?,
            (None, Some(message)) => {
                let stored = self.0.store.sessions().message(id, message).await.map_err(error::store)?;
                let stored = stored.filter(|stored| stored.deleted_at.is_none());
                stored.ok_or_else(|| no_such_message(message))?
            }
            (None, None) => self.latest(&session).await?,
        };
        // The answer, if the turn has one, and the last message of the input.
        let (answer, last) = if named.message.role == Role::Assistant {
            (Some(named.clone()), named.parent)
        } else {
            let answer = match named.run {
                Some(run) => self.answer_of_run(id, run).await?,
                None => None,
            };
            (answer, Some(named.id))
        };
        let path = self.0.store.sessions().path(id, last, INPUT_MAX_COUNT).await.map_err(error::store)?;
        let before = path.messages.iter().rposition(|stored| stored.message.role == Role::Assistant);
        let first = before.map_or(0, |before| before + 1);
        let input: Vec<&SessionMessage> = path.messages[first..].iter().collect();
        let Some(first) = input.first().filter(|_| before.is_some() || path.before.is_none()) else {
            let message = "the message has no input before it; send another one";
            return Err(ApiError::new(ErrorCode::Conflict, message));
        };
        let before = first.parent;
        let input = input.iter().filter(|stored| stored.deleted_at.is_none());
        let input: Vec<_> = input.map(|stored| stored.message.clone()).collect();
        if input.is_empty() {
            let message = "the messages of the turn were deleted; name another one";
            return Err(ApiError::new(ErrorCode::Conflict, message));
        }
        let parent = (request.mode == RegenerateMode::Replace).then_some(last);
        let options = answer.map(|answer| answer.request).unwrap_or_default();
        if options[TOO_LONG] == true {
            let message = "the options of the turn's request, such as its tools, were too long to be stored; send its input again";
            return Err(ApiError::new(ErrorCode::Conflict, message));
        }
        Ok(EarlierTurn { session, source: TurnSource::Again { input, before, parent }, options })
    }

    /// The latest message that isn't deleted.
    async fn latest(&self, session: &Session) -> Result<SessionMessage, ApiError> {
        let sessions = self.0.store.sessions();
        let path = sessions.path(session.id, session.head, PAGE_MESSAGES).await.map_err(error::store)?;
        let latest = path.messages.into_iter().rev().find(|stored| stored.deleted_at.is_none());
        latest.ok_or_else(|| {
            let message = "the session has no message: there is nothing to generate again";
            ApiError::new(ErrorCode::Conflict, message)
        })
    }

    /// The answer of a run in any branch of a session.
    async fn answer_of_run(&self, id: SessionId, run: RunId) -> Result<Option<SessionMessage>, ApiError> {
        let mut after = 0;
        loop {
            let page =
                self.0.store.sessions().messages(id, after, PAGE_MESSAGES).await.map_err(error::store)?;
            let is_answer = |stored: &SessionMessage| {
                stored.run == Some(run)
                    && stored.message.role == Role::Assistant
                    && stored.deleted_at.is_none()
            };
            if let Some(answer) = page.messages.into_iter().find(is_answer) {
                return Ok(Some(answer));
            }
            match page.next {
                Some(next) => after = next,
                None => return Ok(None),
            }
        }
    }

    /// The messages of the caller's session up to the answer of the run `run`, for a request that continues from it.
    ///
    /// # Errors
    /// `not_found` if the session or the answer isn't stored; `conflict` if the answer isn't complete.
    #[crate::boxed_future]
    pub async fn messages_through(
        &self,
        caller: &Caller,
        id: SessionId,
        run: RunId,
    ) -> Result<Vec<Message>, ApiError> {
        let sessions = self.0.store.sessions();
        let session = sessions.get(id, caller.owner()).await.map_err(error::store)?;
        let session = session.ok_or_else(error::no_such_response)?;
        let answer = self.answer_of_run(session.id, run).await?.ok_or_else(error::no_such_response)?;
        if answer.state != SessionMessageState::Complete {
            return Err(error::unfinished_response());
        }
        let path = read_branch_end(&self.0, id, Some(answer.id)).await?;
        let messages = path.messages.into_iter().filter(|stored| stored.deleted_at.is_none());
        Ok(messages.map(|stored| sent_message(&stored)).collect())
    }
}

fn no_such_turn() -> ApiError {
    ApiError::new(ErrorCode::NotFound, "no turn of the session has this request").at("request_id")
}

fn no_such_message(id: SessionMessageId) -> ApiError {
    let message = format!("the session has no message {id}");
    ApiError::new(ErrorCode::NotFound, message).at("message_id")
}
