//! Named branches of a session: created, listed, made the active one, removed.

use hearth_domain::{Session, SessionBranch, SessionId, Timestamp};
use hearth_wire::{
    ApiError, ErrorCode,
    native::sessions::{BranchList, CreateBranch, SessionBody, SwitchBranch},
};

use super::{
    body::{branch_bodies, session_body},
    messages::no_such_message,
};
use crate::{Gateway, access::Caller, error};

/// Characters of a branch's name.
const NAME_MAX_CHARS: usize = 100;
/// Named branches of a session.
const BRANCHES_MAX_COUNT: usize = 100;

impl Gateway {
    /// The named branches of a session of the caller's.
    ///
    /// # Errors
    /// `not_found` if there is no such session.
    #[crate::boxed_future]
    pub async fn session_branches(&self, caller: &Caller, id: SessionId) -> Result<BranchList, ApiError> {
        let session = self.session(caller, id).await?;
        Ok(BranchList { branches: branch_bodies(&session) })
    }

    /// Creates a branch that begins after a message of the session, and makes it the active one unless the request says
    /// otherwise. The branch that was active keeps its leaf if it has a name.
    ///
    /// # Errors
    /// `not_found` if there is no such session or message; `conflict` if the name is taken, or the session is closed.
    #[crate::boxed_future]
    pub async fn create_session_branch(
        &self,
        caller: &Caller,
        id: SessionId,
        request: CreateBranch,
    ) -> Result<BranchList, ApiError> {
        let name = check_name(&request.name)?;
        if let Some(from) = request.from {
            self.check_message(caller, id, from).await?;
        }
        let session = self
            .update_session(caller, id, |session| {
                if session.branches.iter().any(|branch| branch.name == name) {
                    let message = "the session has a branch with this name";
                    return Err(ApiError::new(ErrorCode::Conflict, message).at("name"));
                }
                if session.branches.len() >= BRANCHES_MAX_COUNT {
                    let message = format!("a session has at most {BRANCHES_MAX_COUNT} named branches");
                    return Err(ApiError::new(ErrorCode::Conflict, message));
                }
                let head = request.from.or(session.head);
                let branch = SessionBranch { name: name.clone(), head, created_at: Timestamp::now() };
                session.branches.push(branch);
                if request.switch {
                    activate(session, Some(name.clone()), head);
                }
                Ok(())
            })
            .await?;
        Ok(BranchList { branches: branch_bodies(&session) })
    }

    /// Makes a branch the active one, by its name or by a message after which the session is continued.
    ///
    /// # Errors
    /// `not_found` if there is no such session, branch or message; `conflict` if the session is closed.
    #[crate::boxed_future]
    pub async fn switch_session_branch(
        &self,
        caller: &Caller,
        id: SessionId,
        request: SwitchBranch,
    ) -> Result<SessionBody, ApiError> {
        let session = match (request.branch, request.message_id) {
            (Some(name), None) => {
                let switch = |session: &mut Session| {
                    let branch = session.branches.iter().find(|branch| branch.name == name);
                    let head = branch.ok_or_else(no_such_branch)?.head;
                    activate(session, Some(name.clone()), head);
                    Ok(())
                };
                self.update_session(caller, id, switch).await?
            }
            (None, Some(message)) => {
                self.check_message(caller, id, message).await?;
                let switch = |session: &mut Session| {
                    activate(session, None, Some(message));
                    Ok(())
                };
                self.update_session(caller, id, switch).await?
            }
            _ => return Err(ApiError::invalid("branch", "name a branch, or a message_id, and not both")),
        };
        Ok(session_body(&session))
    }

    /// Removes the name of a branch. Its messages stay.
    ///
    /// # Errors
    /// `not_found` if there is no such session or branch; `conflict` if the session is closed.
    #[crate::boxed_future]
    pub async fn delete_session_branch(
        &self,
        caller: &Caller,
        id: SessionId,
        name: &str,
    ) -> Result<(), ApiError> {
        let remove = |session: &mut Session| {
            let before = session.branches.len();
            session.branches.retain(|branch| branch.name != name);
            if session.branches.len() == before {
                return Err(no_such_branch());
            }
            if session.branch.as_deref() == Some(name) {
                session.branch = None;
            }
            Ok(())
        };
        self.update_session(caller, id, remove).await.map(drop)
    }

    async fn check_message(
        &self,
        caller: &Caller,
        id: SessionId,
        message: hearth_domain::SessionMessageId,
    ) -> Result<(), ApiError> {
        self.session(caller, id).await?;
        let stored = self.0.store.sessions().message(id, message).await.map_err(error::store)?;
        stored.map(drop).ok_or_else(no_such_message)
    }
}

/// Makes a branch the active one. A summary is of the branch before.
fn activate(session: &mut Session, branch: Option<String>, head: Option<hearth_domain::SessionMessageId>) {
    session.branch = branch;
    session.head = head;
    session.summary = None;
}

fn check_name(name: &str) -> Result<String, ApiError> {
    let name = name.trim();
    let is_valid = (1..=NAME_MAX_CHARS).contains(&name.chars().count())
        && !name.chars().any(|character| character.is_control() || character == '/');
    if is_valid {
        return Ok(name.to_owned());
    }
    let message = format!("name must be 1 to {NAME_MAX_CHARS} characters, in one line and without slashes");
    Err(ApiError::invalid("name", message))
}

pub(super) fn no_such_branch() -> ApiError {
    ApiError::new(ErrorCode::NotFound, "the session has no branch with this name")
}
