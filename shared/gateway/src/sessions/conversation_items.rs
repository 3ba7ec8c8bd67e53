//! Items of conversations, as OpenAI's API has them, over the messages of the session's active branch.

use std::collections::VecDeque;

use hearth_domain::{Message, RunId, Session, SessionId, SessionMessage, SessionMessageId};
use hearth_store::sessions::SessionChange;
use hearth_wire::{
    ApiError, ErrorCode,
    openai::responses::{ConversationItemList, ConversationItemsQuery, ItemOrder, items_of_message},
};
use serde_json::Value;

use super::pending;
use crate::{Gateway, access::Caller, error, pager::check_limit};

/// Items of a page, unless the query says otherwise, and the most that it may say.
const PAGE_ITEMS: (u32, u32) = (20, 100);
/// Messages that are read at once while an item is looked for.
const PATH_MESSAGES: u32 = 64;

impl Gateway {
    /// Adds messages to a conversation, in the order of its turns; returns their items.
    ///
    /// # Errors
    /// `not_found` as for [`Gateway::conversation_session`]; `conflict` if it is closed, or if other turns have it for too
    /// long.
    #[crate::boxed_future]
    pub async fn add_conversation_messages(
        &self,
        caller: &Caller,
        id: SessionId,
        messages: Vec<Message>,
    ) -> Result<ConversationItemList, ApiError> {
        self.session_of_turn(caller, id).await?;
        let place = RunId::new();
        let lease = self.0.session_turns.begin(id, place).await?;
        let added = async {
            let mut session = self.session_of_turn(caller, id).await?;
            let messages: Vec<_> = messages.into_iter().map(SessionMessage::new).collect();
            let sessions = self.0.store.sessions();
            sessions.reserve_for(&mut session, &messages).await.map_err(error::store_of_turn)?;
            let (head, change) = (session.head, SessionChange::default());
            let added = sessions.append(&lease.lease, &mut session, head, messages, &change).await;
            added.map_err(error::store_of_turn)
        };
        let added = added.await;
        lease.end().await;
        let items = added?.iter().flat_map(items_of_message).collect();
        Ok(ConversationItemList::new(items, false))
    }

    /// A page of a conversation's items.
    ///
    /// # Errors
    /// `not_found` as for [`Gateway::conversation_session`]; `invalid_request` for a wrong limit or item.
    #[crate::boxed_future]
    pub async fn conversation_items(
        &self,
        caller: &Caller,
        id: &str,
        query: &ConversationItemsQuery,
    ) -> Result<ConversationItemList, ApiError> {
        let session = self.conversation_session(caller, id).await?;
        let (usual, most) = PAGE_ITEMS;
        let limit = check_limit(query.limit, usual, most)? as usize;
        let (mut page, is_found) = match query.order {
            ItemOrder::Asc => self.items_after(&session, query.after.as_deref(), limit + 1).await?,
            ItemOrder::Desc => self.items_before(&session, query.after.as_deref(), limit + 1).await?,
        };
        if !is_found {
            return Err(ApiError::invalid("after", "after must be the id of an item"));
        }
        let has_more = page.len() > limit;
        page.truncate(limit);
        Ok(ConversationItemList::new(page.into(), has_more))
    }

    /// An item of a conversation.
    ///
    /// # Errors
    /// `not_found` if there is none with this id.
    #[crate::boxed_future]
    pub async fn conversation_item(&self, caller: &Caller, id: &str, item: &str) -> Result<Value, ApiError> {
        let session = self.conversation_session(caller, id).await?;
        let (_, item) = self.find_item(&session, item).await?;
        Ok(item)
    }

    /// Deletes the message that an item is part of; returns the conversation.
    ///
    /// # Errors
    /// `not_found` if there is no item with this id; `conflict` while its run is in progress.
    #[crate::boxed_future]
    pub async fn delete_conversation_item(
        &self,
        caller: &Caller,
        id: &str,
        item: &str,
    ) -> Result<Session, ApiError> {
        let session = self.conversation_session(caller, id).await?;
        let (message, _) = self.find_item(&session, item).await?;
        self.delete_session_message(caller, session.id, message.id).await?;
        self.conversation_session(caller, id).await
    }

    async fn find_item(&self, session: &Session, item: &str) -> Result<(SessionMessage, Value), ApiError> {
        let mut head = session.head;
        while head.is_some() {
            let (messages, before) = self.page_of_path(session, head).await?;
            for message in messages.into_iter().rev() {
                let items = items_of_message(&message);
                if let Some(found) = items.into_iter().find(|found| found["id"] == item) {
                    return Ok((message, found));
                }
            }
            head = before;
        }
        let message = "the conversation has no item with this id";
        Err(ApiError::new(ErrorCode::NotFound, message))
    }

    /// The newest `count` items that are older than `after`, newest first, and whether that is there.
    async fn items_before(
        &self,
        session: &Session,
        after: Option<&str>,
        count: usize,
    ) -> Result<(VecDeque<Value>, bool), ApiError> {
        let (mut items, mut head, mut is_found) = (VecDeque::new(), session.head, after.is_none());
        while head.is_some() && items.len() < count {
            let (messages, before) = self.page_of_path(session, head).await?;
            for item in messages.iter().rev().flat_map(|message| items_of_message(message).into_iter().rev())
            {
                if !is_found {
                    is_found = Some(item["id"].as_str().unwrap_or_default()) == after;
                } else if items.len() < count {
                    items.push_back(item);
                }
            }
            head = before;
        }
        Ok((items, is_found))
    }

    /// The oldest `count` items that are newer than `after`, oldest first, and whether that is there. The branch is read
    /// backwards, so newer items are dropped on the way.
    async fn items_after(
        &self,
        session: &Session,
        after: Option<&str>,
        count: usize,
    ) -> Result<(VecDeque<Value>, bool), ApiError> {
        let (mut items, mut head) = (VecDeque::new(), session.head);
        while head.is_some() {
            let (messages, before) = self.page_of_path(session, head).await?;
            for item in messages.iter().rev().flat_map(|message| items_of_message(message).into_iter().rev())
            {
                if after.is_some() && item["id"].as_str() == after {
                    return Ok((items, true));
                }
                items.push_front(item);
                items.truncate(count);
            }
            head = before;
        }
        Ok((items, after.is_none()))
    }

    /// Messages of the active branch up to `head` that aren't deleted, oldest first, and the one before them.
    async fn page_of_path(
        &self,
        session: &Session,
        head: Option<SessionMessageId>,
    ) -> Result<(Vec<SessionMessage>, Option<SessionMessageId>), ApiError> {
        let path = self.0.store.sessions().path(session.id, head, PATH_MESSAGES).await;
        let mut path = path.map_err(error::store)?;
        pending::settle(&self.0, session.id, &mut path.messages).await?;
        path.messages.retain(|message| message.deleted_at.is_none());
        Ok((path.messages, path.before))
    }
}
