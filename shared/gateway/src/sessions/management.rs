//! Sessions of a caller: created, listed, changed, reset, closed and deleted.

use hearth_domain::{Session, SessionId, SessionStatus, Timestamp};
use hearth_store::{StoreError, sessions::SessionPosition};
use hearth_wire::{
    ApiError, ErrorCode,
    native::generate::check_state_tokens,
    native::sessions::{
        ChangeSession, CreateSession, SessionBody, SessionClosed, SessionDetails, SessionList, SessionQuery,
    },
};
use serde_json::Value;

use super::{
    body::{session_body, session_entry},
    conversation::check_metadata,
};
use crate::{Gateway, access::Caller, error, pager::Pager};

/// Characters of a title.
const TITLE_MAX_CHARS: usize = 200;
/// Bytes of a system prompt.
pub(super) const SYSTEM_PROMPT_MAX_BYTES: usize = 64 << 10;
/// Characters of a model's name.
pub(super) const MODEL_MAX_CHARS: usize = 300;
/// Attempts at a change while turns change the session.
const CHANGE_MAX_ATTEMPTS: usize = 16;

impl Gateway {
    /// Creates a session of the caller's.
    ///
    /// # Errors
    /// `invalid_request` for a field over its limit.
    #[crate::boxed_future]
    pub async fn create_session(
        &self,
        caller: &Caller,
        request: CreateSession,
    ) -> Result<SessionBody, ApiError> {
        check_metadata(&request.metadata)?;
        let mut session = Session::new(caller.owner());
        session.title = request.title.as_deref().map(check_title).transpose()?;
        session.system_prompt = request.system_prompt.map(check_system_prompt).transpose()?;
        session.model = request.model.map(check_model).transpose()?;
        session.overflow = request.context_overflow.unwrap_or_default();
        session.metadata = request.metadata;
        session.state_tokens = request.state_tokens.map(check_tokens).transpose()?;
        self.0.store.sessions().create(&mut session).await.map_err(error::store)?;
        Ok(session_body(&session))
    }

    /// A page of the caller's sessions, the last used one first.
    ///
    /// # Errors
    /// `invalid_request` for a bad limit or cursor.
    #[crate::boxed_future]
    pub async fn list_sessions(
        &self,
        caller: &Caller,
        query: &SessionQuery,
    ) -> Result<SessionList, ApiError> {
        let status = query.status.unwrap_or_default();
        let list = format!("sessions|{}", status.as_str());
        let pages = Pager::new(&self.0.keys, caller.owner(), &list, query.limit)?;
        let after = pages.open_with(query.cursor.as_deref(), parse_position).await?;
        let page = self.0.store.sessions().page(caller.owner(), status, after, pages.limit).await;
        let page = page.map_err(error::store)?;
        Ok(SessionList {
            sessions: page.sessions.iter().map(session_entry).collect(),
            next_cursor: pages.seal(page.next.map(position_text)).await?,
        })
    }

    /// A session of the caller's with the latest messages of its active branch.
    ///
    /// # Errors
    /// `not_found` if there is none with this id, or it is another user's; `invalid_request` for a bad limit.
    #[crate::boxed_future]
    pub async fn session_details(
        &self,
        caller: &Caller,
        id: SessionId,
        limit: Option<u32>,
    ) -> Result<SessionDetails, ApiError> {
        let session = self.session(caller, id).await?;
        let page = self.branch_page(caller, &session, None, limit, None).await?;
        Ok(SessionDetails {
            session: session_body(&session),
            messages: page.messages,
            messages_cursor: page.next_cursor,
        })
    }

    /// Changes a session of the caller's.
    ///
    /// # Errors
    /// `not_found` as for [`Gateway::session_details`]; `invalid_request` for a field over its limit; `conflict` for a closed
    /// session.
    #[crate::boxed_future]
    pub async fn change_session(
        &self,
        caller: &Caller,
        id: SessionId,
        request: ChangeSession,
    ) -> Result<SessionBody, ApiError> {
        if let Some(metadata) = &request.metadata {
            check_metadata(metadata)?;
        }
        let title = request.title.map(|title| title.as_deref().map(check_title).transpose()).transpose()?;
        let prompt =
            request.system_prompt.map(|text| text.map(check_system_prompt).transpose()).transpose()?;
        let model = request.model.map(|model| model.map(check_model).transpose()).transpose()?;
        let tokens = request.state_tokens.map(|json| json.map(check_tokens).transpose()).transpose()?;
        let session = self
            .update_session(caller, id, |session| {
                if let Some(title) = &title {
                    session.title.clone_from(title);
                    session.is_title_automatic = false;
                }
                replace(&mut session.system_prompt, prompt.as_ref());
                replace(&mut session.model, model.as_ref());
                replace(&mut session.state_tokens, tokens.as_ref());
                if let Some(overflow) = request.context_overflow {
                    session.overflow = overflow;
                }
                if let Some(metadata) = &request.metadata {
                    session.metadata.clone_from(metadata);
                }
                if let Some(archived) = request.archived {
                    session.status = if archived { SessionStatus::Archived } else { SessionStatus::Open };
                }
                Ok(())
            })
            .await?;
        Ok(session_body(&session))
    }

    /// Begins a session of the caller's anew: the next turn has no messages before it. The messages stay, and so do the named
    /// branches.
    ///
    /// # Errors
    /// As for [`Gateway::change_session`].
    #[crate::boxed_future]
    pub async fn reset_session(&self, caller: &Caller, id: SessionId) -> Result<SessionBody, ApiError> {
        let session = self
            .update_session(caller, id, |session| {
                session.branch = None;
                session.head = None;
                session.summary = None;
                session.state_tokens = None;
                session.reset_at = Some(Timestamp::now());
                Ok(())
            })
            .await?;
        Ok(session_body(&session))
    }

    /// Moves a session of the caller's to the archived ones.
    ///
    /// # Errors
    /// As for [`Gateway::change_session`].
    #[crate::boxed_future]
    pub async fn archive_session(&self, caller: &Caller, id: SessionId) -> Result<SessionBody, ApiError> {
        self.change_session(caller, id, ChangeSession { archived: Some(true), ..ChangeSession::default() })
            .await
    }

    /// Closes a session of the caller's: it can be read until the setting's time is over. `permanent` deletes it at once.
    ///
    /// # Errors
    /// `not_found` as for [`Gateway::session_details`].
    #[crate::boxed_future]
    pub async fn close_session(
        &self,
        caller: &Caller,
        id: SessionId,
        permanent: bool,
    ) -> Result<SessionClosed, ApiError> {
        let mut session = self.session(caller, id).await?;
        let ttl = self.0.session_settings.closed_ttl();
        if permanent || ttl.is_zero() {
            self.0.store.sessions().delete(&session).await.map_err(error::store)?;
            return Ok(SessionClosed { id: id.to_string(), deleted: true, expires_at: None });
        }
        if session.status != SessionStatus::Closed {
            session = self
                .update_session(caller, id, |session| {
                    let now = Timestamp::now();
                    session.status = SessionStatus::Closed;
                    session.closed_at = Some(now);
                    session.expires_at = Some(now.plus(ttl));
                    Ok(())
                })
                .await?;
        }
        let expires_at = session.expires_at.map(|at| at.to_string());
        Ok(SessionClosed { id: id.to_string(), deleted: false, expires_at })
    }

    /// The caller's session.
    pub(super) async fn session(&self, caller: &Caller, id: SessionId) -> Result<Session, ApiError> {
        let session = self.0.store.sessions().get(id, caller.owner()).await.map_err(error::store)?;
        session.ok_or_else(no_such_session)
    }

    /// Stores what `change` makes of the caller's session. It may be called several times, as turns change the session too.
    pub(super) async fn update_session(
        &self,
        caller: &Caller,
        id: SessionId,
        change: impl Fn(&mut Session) -> Result<(), ApiError>,
    ) -> Result<Session, ApiError> {
        for _ in 0..CHANGE_MAX_ATTEMPTS {
            let mut session = self.session(caller, id).await?;
            if session.status == SessionStatus::Closed {
                return Err(ApiError::new(
                    ErrorCode::Conflict,
                    "the session is closed, and can only be read",
                ));
            }
            change(&mut session)?;
            match self.0.store.sessions().update(&mut session).await {
                Ok(()) => return Ok(session),
                Err(StoreError::Conflict) => {}
                Err(failure) => return Err(error::store(failure)),
            }
        }
        let message = "the session is changed by others at the same time; send the request again";
        Err(ApiError::new(ErrorCode::Conflict, message))
    }
}

fn replace<T: Clone>(field: &mut Option<T>, value: Option<&Option<T>>) {
    if let Some(value) = value {
        field.clone_from(value);
    }
}

pub(super) fn no_such_session() -> ApiError {
    ApiError::new(ErrorCode::NotFound, "there is no session with this id")
}

fn check_title(title: &str) -> Result<String, ApiError> {
    let title = title.trim();
    let is_valid =
        !title.is_empty() && title.chars().count() <= TITLE_MAX_CHARS && !title.chars().any(char::is_control);
    if is_valid {
        return Ok(title.to_owned());
    }
    Err(ApiError::invalid("title", format!("title must be 1 to {TITLE_MAX_CHARS} characters, in one line")))
}

fn check_system_prompt(text: String) -> Result<String, ApiError> {
    if text.len() <= SYSTEM_PROMPT_MAX_BYTES {
        return Ok(text);
    }
    let message = format!("system_prompt is limited to {} KB", SYSTEM_PROMPT_MAX_BYTES >> 10);
    Err(ApiError::invalid("system_prompt", message))
}

fn check_model(model: String) -> Result<String, ApiError> {
    if (1..=MODEL_MAX_CHARS).contains(&model.chars().count()) {
        return Ok(model);
    }
    Err(ApiError::invalid("model", format!("model must be a name of 1 to {MODEL_MAX_CHARS} characters")))
}

fn check_tokens(tokens: Value) -> Result<Value, ApiError> {
    check_state_tokens(&tokens)?;
    Ok(tokens)
}

/// A position in the list as the text in a cursor.
pub(super) fn position_text(position: SessionPosition) -> String {
    format!("{}#{}", position.last_used_at, position.id)
}

pub(super) fn parse_position(text: &str) -> Option<SessionPosition> {
    let (last_used_at, id) = text.split_once('#')?;
    Some(SessionPosition { last_used_at: last_used_at.parse().ok()?, id: id.parse().ok()? })
}
