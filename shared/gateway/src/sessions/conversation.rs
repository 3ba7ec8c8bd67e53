//! Conversations of OpenAI's API: sessions, created, changed and deleted by its rules.

use std::collections::BTreeMap;

use hearth_domain::{Message, Session, SessionId};
use hearth_store::StoreError;
use hearth_wire::{ApiError, ErrorCode, openai::responses::conversation_not_found};

use crate::{Gateway, access::Caller, error};

/// Largest number of texts in a conversation's metadata, and characters of a name and of a text, as at OpenAI.
const METADATA_MAX_COUNT: usize = 16;
const METADATA_NAME_MAX_CHARS: usize = 64;
const METADATA_TEXT_MAX_CHARS: usize = 512;
/// Attempts at a change while a turn changes the session.
const CHANGE_MAX_ATTEMPTS: usize = 16;

impl Gateway {
    /// Creates a conversation of the caller's with these messages.
    ///
    /// # Errors
    /// `invalid_request` for metadata over the limits.
    #[crate::boxed_future]
    pub async fn create_conversation(
        &self,
        caller: &Caller,
        metadata: BTreeMap<String, String>,
        messages: Vec<Message>,
    ) -> Result<Session, ApiError> {
        check_metadata(&metadata)?;
        let mut session = Session { metadata, ..Session::new(caller.owner()) };
        self.0.store.sessions().create(&mut session).await.map_err(error::store)?;
        if !messages.is_empty() {
            self.add_conversation_messages(caller, session.id, messages).await?;
        }
        Ok(session)
    }

    /// The caller's conversation.
    ///
    /// # Errors
    /// `not_found` if there is none with this id, or it is another user's.
    #[crate::boxed_future]
    pub async fn conversation_session(&self, caller: &Caller, id: &str) -> Result<Session, ApiError> {
        let id: SessionId = id.parse().map_err(|_| conversation_not_found())?;
        let session = self.0.store.sessions().get(id, caller.owner()).await.map_err(error::store)?;
        session.ok_or_else(conversation_not_found)
    }

    /// Replaces the metadata of the caller's conversation.
    ///
    /// # Errors
    /// As for [`Gateway::conversation_session`]; `invalid_request` for metadata over the limits.
    #[crate::boxed_future]
    pub async fn update_conversation(
        &self,
        caller: &Caller,
        id: &str,
        metadata: BTreeMap<String, String>,
    ) -> Result<Session, ApiError> {
        check_metadata(&metadata)?;
        for _ in 0..CHANGE_MAX_ATTEMPTS {
            let mut session = self.conversation_session(caller, id).await?;
            session.metadata.clone_from(&metadata);
            match self.0.store.sessions().update(&mut session).await {
                Ok(()) => return Ok(session),
                Err(StoreError::Conflict) => {}
                Err(failure) => return Err(error::store(failure)),
            }
        }
        let message = "the conversation is changed by its turns; send the request again";
        Err(ApiError::new(ErrorCode::Conflict, message))
    }

    /// Deletes the caller's conversation with its items.
    ///
    /// # Errors
    /// As for [`Gateway::conversation_session`].
    #[crate::boxed_future]
    pub async fn delete_conversation(&self, caller: &Caller, id: &str) -> Result<(), ApiError> {
        let session = self.conversation_session(caller, id).await?;
        self.0.store.sessions().delete(&session).await.map_err(error::store)
    }
}

pub(super) fn check_metadata(metadata: &BTreeMap<String, String>) -> Result<(), ApiError> {
    let is_long = |(name, text): (&String, &String)| {
        name.is_empty()
            || name.chars().count() > METADATA_NAME_MAX_CHARS
            || text.chars().count() > METADATA_TEXT_MAX_CHARS
    };
    if metadata.len() <= METADATA_MAX_COUNT && !metadata.iter().any(is_long) {
        return Ok(());
    }
    let message = format!(
        "metadata has at most {METADATA_MAX_COUNT} texts of {METADATA_TEXT_MAX_CHARS} characters, with names of 1 to \
         {METADATA_NAME_MAX_CHARS}"
    );
    Err(ApiError::invalid("metadata", message))
}
