//! The membership by which a caller acts.

use std::sync::Arc;

use hearth_domain::{MemberRole, OrganisationId, Owner, TeamId, Timestamp, UserId};
use hearth_store::{organisations::MemberRecord, users::LoginsEnded};
use hearth_wire::ApiError;

use super::{Access, Credential, unauthorized};
use crate::error;

/// A user's membership of an organisation, both of which are enabled.
#[derive(Debug, Clone)]
pub(crate) struct Membership {
    /// The user's role.
    pub(crate) role: MemberRole,
    /// The user's teams.
    pub(crate) teams: Arc<[TeamId]>,
    /// The organisation is that of the gateway's operator.
    pub(crate) is_operator: bool,
    /// The regions of the organisation; empty: all.
    pub(crate) regions: Arc<[String]>,
    /// The latest end of all logins of the user.
    pub(crate) logins_ended: Option<LoginsEnded>,
}

/// The name of the operator's organisation, until its owner changes it.
const OPERATORS_NAME: &str = "Hearth";
/// The name of the operator, until they change it.
const OPERATOR_NAME: &str = "Operator";

impl Access {
    /// Creates the operator's user record and their organisation, if they are missing: in a new store, and in one from before
    /// there were organisations. Concurrent callers create them once. Returns the organisation's id.
    ///
    /// # Errors
    /// `internal` if the store fails.
    pub(crate) async fn ensure_operators(&self) -> Result<OrganisationId, ApiError> {
        let operator = self.store.operator().await.map_err(error::store)?;
        let id = OrganisationId::of_operator(operator);
        if self.store.organisations().get(id).await.map_err(error::store)?.is_none() {
            let created = self.store.create_operators_records(operator, OPERATOR_NAME, OPERATORS_NAME).await;
            created.map_err(error::store)?;
            self.forget_callers();
        }
        Ok(id)
    }

    /// The membership of a user.
    ///
    /// # Errors
    /// `unauthorized` if the user isn't a member of the organisation, or one of the two is disabled.
    pub(crate) async fn membership(
        &self,
        organisation: OrganisationId,
        user: UserId,
    ) -> Result<Membership, ApiError> {
        let (organisations, users) = (self.store.organisations(), self.store.users());
        let reads =
            (organisations.member(organisation, user), organisations.get(organisation), users.get(user));
        let (member, record, profile) = tokio::try_join!(reads.0, reads.1, reads.2).map_err(error::store)?;
        let is_operator = self.is_of_operators(organisation).await?;
        if profile.as_ref().is_some_and(|profile| profile.disabled_at.is_some()) {
            return Err(unauthorized());
        }
        let logins_ended = profile.and_then(|profile| profile.logins_ended);
        let Some(record) = record else {
            // Data from before there were organisations has none for its operator, who is the owner of theirs.
            if is_operator && organisation == OrganisationId::of_operator(user) {
                let (role, teams, regions) = (MemberRole::Owner, Arc::default(), Arc::default());
                return Ok(Membership { role, teams, is_operator, regions, logins_ended });
            }
            return Err(unauthorized());
        };
        match member {
            Some(MemberRecord { role, teams, .. }) if record.disabled_at.is_none() => {
                let regions = record.regions.into();
                Ok(Membership { role, teams: teams.into(), is_operator, regions, logins_ended })
            }
            _ => Err(unauthorized()),
        }
    }

    /// Ends the logins, tokens and access keys of a removed member: they stay ended if the user joins the organisation again.
    ///
    /// # Errors
    /// `internal` if the store fails: then some may be left.
    pub(crate) async fn end_access(&self, owner: Owner) -> Result<(), ApiError> {
        self.forget_callers();
        let (logins, now) = (self.store.logins(), Timestamp::now());
        for login in logins.of(owner.user).await.map_err(error::store)? {
            if login.organisation == owner.organisation && login.is_valid(now) {
                logins.end(login.id, "the membership was removed", now).await.map_err(error::store)?;
                self.end_credential(Credential::Login(login.id));
            }
        }
        self.revoke_all_of(owner).await?;
        self.forget_callers();
        Ok(())
    }
}
