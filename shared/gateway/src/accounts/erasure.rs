//! The erasure of a user: a job that deletes everything of theirs, and that can be interrupted at any point.
//!
//! It begins by disabling the user, in the transaction that stores the job. Then passes follow, each of which deletes what it
//! finds. Runs in progress are stopped, and deleted by a later pass. Requests that other processes have admitted before may
//! still write, so the last pass comes after they must have ended. The profile goes last, with its address.
//!
//! At home a task of the gateway makes the passes, in the cloud the function `sweep`. Usage and audit entries stay: they have
//! the user's id, and after the erasure nothing leads from it to a person.

mod pass;

use std::time::{Duration, Instant};

use hearth_domain::{ErasureId, MemberRole, RevisionId, Secret, Timestamp, UserId};
use hearth_store::{
    StoreError,
    erasures::{ErasureCounts, ErasureRecord},
    users::UserRecord,
};
use hearth_wire::{
    ApiError, ErrorCode,
    native::users::{ErasedBody, ErasureBody, ErasureStatus},
};

use super::profile::no_such_user;
use crate::{Caller, Gateway, background, error};

/// Time after its beginning at which the last pass of an erasure comes, where processes share the store: Lambda's limit of a
/// request, and what it takes until a process is taken for dead.
const SHARED_SETTLE_GRACE: Duration = Duration::from_secs(16 * 60);
/// The same for a process that has the store for itself: longer than a run takes to be recorded.
const OWN_SETTLE_GRACE: Duration = Duration::from_secs(2);
/// Interval between two passes.
const PASS_INTERVAL: Duration = Duration::from_millis(500);
/// Interval between two attempts while the store fails.
const RETRY_INTERVAL: Duration = Duration::from_secs(30);

/// Data that stays after an erasure.
const REMAINING_DATA: [&str; 2] = ["usage", "audit"];

/// The result of a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pass {
    /// Everything is deleted.
    Completed,
    /// Another pass is needed: runs are in progress, or the last pass is to come.
    Incomplete,
    /// The time is over.
    OutOfTime,
}

impl Gateway {
    /// Begins the erasure of the caller, confirmed by their password or a fresh login. A repeated request returns the report
    /// of the first.
    ///
    /// # Errors
    /// `forbidden` if the confirmation is wrong; `conflict` for the gateway's operator, and for the last owner of an
    /// organisation with other members.
    #[crate::boxed_future]
    pub async fn erase_caller(
        &self,
        caller: &Caller,
        password: Option<&Secret>,
    ) -> Result<ErasureBody, ApiError> {
        self.check_erasable(caller.user).await?;
        self.confirm(caller, password, "password").await?;
        self.begin_erasure(caller.user, caller.user).await
    }

    /// Begins the erasure of a user, for an operator of the gateway.
    ///
    /// # Errors
    /// `not_found`; `forbidden` for a user of the operator's organisation whose role the caller's doesn't cover; `conflict` as
    /// for [`Gateway::erase_caller`].
    #[crate::boxed_future]
    pub async fn erase_user(&self, caller: &Caller, user: UserId) -> Result<ErasureBody, ApiError> {
        let organisations = self.0.store.organisations();
        if let Some(member) = organisations.member(caller.organisation, user).await.map_err(error::store)?
            && !caller.role.covers(member.role)
        {
            let message = "this user's role may do more than yours; an owner can erase them";
            return Err(ApiError::new(ErrorCode::Forbidden, message));
        }
        self.check_erasable(user).await?;
        self.begin_erasure(caller.user, user).await
    }

    /// The report of an erasure.
    ///
    /// # Errors
    /// `not_found` if there is none with this id.
    #[crate::boxed_future]
    pub async fn erasure(&self, id: ErasureId) -> Result<ErasureBody, ApiError> {
        let erasure = self.0.store.erasures().get(id).await.map_err(error::store)?;
        erasure
            .map(|erasure| erasure_body(&erasure))
            .ok_or_else(|| ApiError::new(ErrorCode::NotFound, "there is no erasure with this id"))
    }

    /// Goes on with the erasures that haven't ended, in the background. For a process that has the store for itself, at its
    /// start.
    ///
    /// # Errors
    /// `internal` if the store fails.
    #[crate::boxed_future]
    pub async fn resume_erasures(&self) -> Result<usize, ApiError> {
        let open = self.0.store.erasures().open().await.map_err(error::store)?;
        let count = open.len();
        for erasure in open {
            self.carry_out_in_background(erasure.id);
        }
        Ok(count)
    }

    /// Makes a pass of each erasure that hasn't ended, for `time` at most; returns the number of those that have ended with
    /// it. For a process with a time limit.
    ///
    /// # Errors
    /// `internal` if the store fails.
    #[crate::boxed_future]
    pub async fn sweep_erasures(&self, time: Duration) -> Result<usize, ApiError> {
        let until = Instant::now() + time;
        let (mut completed, mut result) = (0, Ok(()));
        for erasure in self.0.store.erasures().open().await.map_err(error::store)? {
            match self.make_pass(erasure.id, Some(until)).await {
                Ok(Pass::Completed) => completed += 1,
                Ok(Pass::Incomplete) => {}
                Ok(Pass::OutOfTime) => break,
                // The others are carried out too.
                Err(error) => result = Err(error),
            }
        }
        result.map(|()| completed)
    }

    /// Waits for the end of an erasure in this process: for the operator of the data itself.
    ///
    /// # Errors
    /// `internal` if the store fails.
    #[crate::boxed_future]
    pub async fn finish_erasure(&self, id: ErasureId) -> Result<ErasureBody, ApiError> {
        while self.make_pass(id, None).await? != Pass::Completed {
            tokio::time::sleep(PASS_INTERVAL).await;
        }
        self.erasure(id).await
    }

    /// Checks that a user may be erased.
    async fn check_erasable(&self, user: UserId) -> Result<(), ApiError> {
        if self.operator().await.map_err(error::store)? == user {
            let message = "this user is the operator of the gateway, who owns it, and can't be erased; delete the gateway's data \
                           itself to erase everything of theirs";
            return Err(ApiError::new(ErrorCode::Conflict, message));
        }
        let organisations = self.0.store.organisations();
        for member in organisations.of_user(user).await.map_err(error::store)? {
            let Some(organisation) = organisations.get(member.organisation).await.map_err(error::store)?
            else {
                continue;
            };
            let is_last_owner = member.role == MemberRole::Owner && organisation.owners == 1;
            if is_last_owner
                && organisations.members(member.organisation).await.map_err(error::store)?.len() > 1
            {
                let message = format!(
                    "the organisation {} has other members, and no other owner; make a member its owner first, or \
                     delete it",
                    member.organisation
                );
                return Err(ApiError::new(ErrorCode::Conflict, message)
                    .with("organisation", member.organisation.to_string()));
            }
        }
        Ok(())
    }

    async fn begin_erasure(&self, requested_by: UserId, user: UserId) -> Result<ErasureBody, ApiError> {
        let erasure = loop {
            let before =
                self.0.store.users().get(user).await.map_err(error::store)?.ok_or_else(no_such_user)?;
            if let Some(id) = before.erasure {
                return self.erasure(id).await;
            }
            let requested_at = Timestamp::now();
            let settle = if self.outlives_response() { OWN_SETTLE_GRACE } else { SHARED_SETTLE_GRACE };
            let erasure = ErasureRecord {
                id: ErasureId::new(),
                user,
                requested_by,
                requested_at,
                last_pass_after: requested_at.plus(settle),
                completed_at: None,
                deleted: ErasureCounts::default(),
                revision: RevisionId::new(),
            };
            let after = UserRecord {
                disabled_at: Some(before.disabled_at.unwrap_or(requested_at)),
                erasure: Some(erasure.id),
                revision: RevisionId::new(),
                ..before.clone()
            };
            match self.0.store.erasures().begin(&erasure, &before, &after).await {
                Ok(()) => break erasure,
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error::store(error)),
            }
        };
        self.0.access.forget_callers();
        tracing::info!(%user, erasure = %erasure.id, "the erasure of a user has begun");
        if self.outlives_response() {
            self.carry_out_in_background(erasure.id);
        }
        Ok(erasure_body(&erasure))
    }

    fn carry_out_in_background(&self, id: ErasureId) {
        let gateway = self.clone();
        background::spawn(async move {
            loop {
                let pause = match gateway.make_pass(id, None).await {
                    Ok(Pass::Completed) => return,
                    Ok(_) => PASS_INTERVAL,
                    Err(error) => {
                        tracing::warn!(erasure = %id, %error, "an erasure can't go on; it is tried again");
                        RETRY_INTERVAL
                    }
                };
                tokio::time::sleep(pause).await;
            }
        });
    }

    /// Deletes what is left of the user, until `until`. The profile, and with it the address, goes in the last pass.
    async fn make_pass(&self, id: ErasureId, until: Option<Instant>) -> Result<Pass, ApiError> {
        match self.try_pass(id, until).await {
            Ok(pass) => Ok(pass),
            // Another process makes a pass too, or an item of a list was deleted meanwhile.
            Err(StoreError::Conflict) => Ok(Pass::Incomplete),
            Err(error) => Err(error::store(error)),
        }
    }
}

fn erasure_body(erasure: &ErasureRecord) -> ErasureBody {
    let deleted = &erasure.deleted;
    ErasureBody {
        id: erasure.id.to_string(),
        status: match erasure.completed_at {
            Some(_) => ErasureStatus::Completed,
            None => ErasureStatus::InProgress,
        },
        requested_at: erasure.requested_at.to_string(),
        completed_at: erasure.completed_at.map(|at| at.to_string()),
        deleted: ErasedBody {
            runs: deleted.runs,
            artifacts: deleted.artifacts,
            files: deleted.files,
            sessions: deleted.sessions,
            definitions: deleted.definitions,
            cached_answers: deleted.cached_answers,
            tokens: deleted.tokens,
            credentials: deleted.credentials,
            nodes: deleted.nodes,
            webhooks: deleted.webhooks,
            memberships: deleted.memberships,
            organisations: deleted.organisations,
            profile_items: deleted.profile_items,
        },
        kept: REMAINING_DATA.map(ToOwned::to_owned).to_vec(),
    }
}
