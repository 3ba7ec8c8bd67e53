//! Messages of a session: pages of a branch or of all, and edits and deletions of single ones.

use hearth_domain::{
    AttachmentContent, Message, Session, SessionId, SessionMessage, SessionMessageId, SessionMessageState,
    SessionStatus, Timestamp,
};
use hearth_store::StoreError;
use hearth_wire::{
    ApiError, ErrorCode,
    native::sessions::{ChangeMessage, MessageQuery, SessionMessageBody, SessionMessageList},
};
use serde_json::Value;

use super::{body::message_body, branches::no_such_branch, pending};
use crate::{Gateway, access::Caller, error, pager::Pager};

impl Gateway {
    /// A page of the messages of a session of the caller's.
    ///
    /// # Errors
    /// `not_found` if there is no such session or branch; `invalid_request` for a bad limit or cursor.
    #[crate::boxed_future]
    pub async fn session_messages(
        &self,
        caller: &Caller,
        id: SessionId,
        query: &MessageQuery,
    ) -> Result<SessionMessageList, ApiError> {
        let session = self.session(caller, id).await?;
        if !query.all {
            let (branch, cursor) = (query.branch.as_deref(), query.cursor.as_deref());
            return self.branch_page(caller, &session, branch, query.limit, cursor).await;
        }
        if query.branch.is_some() {
            return Err(ApiError::invalid("branch", "branch and all can't be used together"));
        }
        let list = format!("session-messages|{id}");
        let pages = Pager::new(&self.0.keys, caller.owner(), &list, query.limit)?;
        let after = pages.open(query.cursor.as_deref()).await?.unwrap_or(0);
        let page = self.0.store.sessions().messages(id, after, pages.limit).await.map_err(error::store)?;
        let mut messages = page.messages;
        pending::settle(&self.0, id, &mut messages).await?;
        Ok(SessionMessageList { messages: bodies(messages), next_cursor: pages.seal(page.next).await? })
    }

    /// A page of a branch, the active one without a name, from its leaf on.
    pub(super) async fn branch_page(
        &self,
        caller: &Caller,
        session: &Session,
        branch: Option<&str>,
        limit: Option<u32>,
        cursor: Option<&str>,
    ) -> Result<SessionMessageList, ApiError> {
        let head = match branch {
            None => session.head,
            Some(name) => {
                let branch = session.branches.iter().find(|branch| branch.name == name);
                branch.ok_or_else(no_such_branch)?.head
            }
        };
        let list = format!("session-branch|{}", session.id);
        let pages = Pager::new(&self.0.keys, caller.owner(), &list, limit)?;
        // The position is the message before the page that had the cursor, so a branch that grows meanwhile shifts no page.
        let head = pages.open::<SessionMessageId>(cursor).await?.or(head);
        let path = self.0.store.sessions().path(session.id, head, pages.limit).await.map_err(error::store)?;
        let mut messages = path.messages;
        pending::settle(&self.0, session.id, &mut messages).await?;
        Ok(SessionMessageList { messages: bodies(messages), next_cursor: pages.seal(path.before).await? })
    }

    /// A message of a session of the caller's.
    ///
    /// # Errors
    /// `not_found` if there is no such session or message.
    #[crate::boxed_future]
    pub async fn session_message(
        &self,
        caller: &Caller,
        id: SessionId,
        message: SessionMessageId,
    ) -> Result<SessionMessageBody, ApiError> {
        self.session(caller, id).await?;
        self.stored_message(id, message).await.map(message_body)
    }

    /// Replaces the text of a message.
    ///
    /// # Errors
    /// `not_found` as for [`Gateway::session_message`]; `conflict` if its run is in progress, or its session is closed.
    #[crate::boxed_future]
    pub async fn change_session_message(
        &self,
        caller: &Caller,
        id: SessionId,
        message: SessionMessageId,
        change: ChangeMessage,
    ) -> Result<SessionMessageBody, ApiError> {
        let change = |stored: &mut SessionMessage| {
            // Positions of images and the like are offsets in the text.
            let images = std::mem::take(&mut stored.message.images);
            let moved = images.into_iter().map(|image| hearth_domain::PlacedImage { at: 0, ..image });
            let mut attachments = std::mem::take(&mut stored.message.attachments);
            attachments.retain(|attachment| {
                matches!(attachment.content, AttachmentContent::Document(_) | AttachmentContent::Opaque(_))
            });
            attachments.iter_mut().for_each(|attachment| attachment.at = 0);
            stored.message = Message {
                images: moved.collect(),
                attachments,
                content: change.content.clone(),
                tool_calls: std::mem::take(&mut stored.message.tool_calls),
                tool_call_id: stored.message.tool_call_id.take(),
                name: stored.message.name.take(),
                ..Message::new(stored.message.role, "")
            };
            stored.layout = Value::Null;
            stored.edited_at = Some(Timestamp::now());
        };
        self.replace_message(caller, id, message, change).await.map(message_body)
    }

    /// Deletes the content of a message. The messages after it follow the one before it.
    ///
    /// # Errors
    /// As for [`Gateway::change_session_message`].
    #[crate::boxed_future]
    pub async fn delete_session_message(
        &self,
        caller: &Caller,
        id: SessionId,
        message: SessionMessageId,
    ) -> Result<(), ApiError> {
        let delete = |stored: &mut SessionMessage| {
            let emptied = SessionMessage::new(Message::new(stored.message.role, ""));
            *stored = SessionMessage {
                id: stored.id,
                parent: stored.parent,
                created_at: stored.created_at,
                deleted_at: Some(Timestamp::now()),
                revision: stored.revision,
                ..emptied
            };
        };
        self.replace_message(caller, id, message, delete).await.map(drop)
    }

    async fn replace_message(
        &self,
        caller: &Caller,
        id: SessionId,
        message: SessionMessageId,
        change: impl Fn(&mut SessionMessage),
    ) -> Result<SessionMessage, ApiError> {
        let mut session = self.session(caller, id).await?;
        let mut stored = self.stored_message(id, message).await?;
        if stored.state == SessionMessageState::Pending {
            return Err(ApiError::new(
                ErrorCode::Conflict,
                "the message's run is in progress; cancel it first",
            ));
        }
        let length =
            |stored: &SessionMessage| i64::try_from(stored.message.content.len()).unwrap_or(i64::MAX);
        let length_before = length(&stored);
        change(&mut stored);
        let growth = length(&stored) - length_before;
        if let Ok(growth) = u64::try_from(growth)
            && session.status != SessionStatus::Closed
        {
            self.0.store.sessions().reserve(&mut session, growth).await.map_err(error::store_of_turn)?;
        }
        // A summary has the text of before.
        self.update_session(caller, id, |session| {
            session.stored_bytes = session.stored_bytes.saturating_add_signed(growth);
            if session.summary.as_ref().is_some_and(|summary| summary.through.seq() >= message.seq()) {
                session.summary = None;
            }
            Ok(())
        })
        .await?;
        match self.0.store.sessions().put_message(id, &mut stored).await {
            Ok(()) => Ok(stored),
            Err(StoreError::Conflict) => {
                let message = "the message is changed by others at the same time; send the request again";
                Err(ApiError::new(ErrorCode::Conflict, message))
            }
            Err(failure) => Err(error::store(failure)),
        }
    }

    /// A message that isn't deleted; the answer of a dead process as it has ended.
    async fn stored_message(
        &self,
        id: SessionId,
        message: SessionMessageId,
    ) -> Result<SessionMessage, ApiError> {
        let stored = self.0.store.sessions().message(id, message).await.map_err(error::store)?;
        let stored = stored.filter(|stored| stored.deleted_at.is_none());
        let mut stored = stored.ok_or_else(no_such_message)?;
        pending::settle(&self.0, id, [&mut stored]).await?;
        Ok(stored)
    }
}

/// The messages that aren't deleted.
fn bodies(messages: Vec<SessionMessage>) -> Vec<SessionMessageBody> {
    messages.into_iter().filter(|message| message.deleted_at.is_none()).map(message_body).collect()
}

pub(super) fn no_such_message() -> ApiError {
    ApiError::new(ErrorCode::NotFound, "the session has no message with this id")
}
