//! Sets and shows limits.

use std::sync::Arc;

use futures::future::try_join_all;
use hearth_domain::{
    Action, Cost, LimitSubject, Limits, MemberRole, OrganisationId, Period, Timestamp, TokenId, UserId,
};
use hearth_store::limits::LimitRecord;
use hearth_wire::{
    ApiError, ErrorCode,
    native::limits::{BudgetBody, LimitBody, LimitList, LimitScope},
};

use super::{Limiter, budget::counter_of, plan::PlannedBudget};
use crate::{access::Caller, error};

/// Members whose tokens are looked up at once.
const MEMBERS_AT_ONCE: usize = 16;

/// Limits as callers set and see them.
#[derive(Debug, Clone, Copy)]
pub struct LimitAccess<'a>(pub(crate) &'a Arc<Limiter>);

impl LimitAccess<'_> {
    /// The limits that hold for a caller, or all of the caller's organisation.
    ///
    /// # Errors
    /// `forbidden` for those of the organisation, if the caller doesn't manage them; `internal` if the store fails.
    #[crate::boxed_future]
    pub async fn list(&self, caller: &Caller, scope: LimitScope) -> Result<LimitList, ApiError> {
        if scope == LimitScope::Organisation {
            caller.require(Action::ManageMembers)?;
        }
        let limits = self.0.limits_of(caller).await?;
        let mut subjects = match scope {
            LimitScope::Me => limits.effective(caller, &self.0.settings),
            LimitScope::Organisation => {
                limits.all().iter().map(|(subject, limits)| (*subject, limits.clone())).collect()
            }
        };
        subjects.sort_by_key(|(subject, _)| *subject);
        let mut data = Vec::with_capacity(subjects.len());
        for (subject, limits) in subjects {
            data.push(self.body(caller.organisation, subject, limits).await?);
        }
        Ok(LimitList { data })
    }

    /// The limits of one subject.
    ///
    /// # Errors
    /// `not_found` if it has none of its own, or is another organisation's; `forbidden`; `internal` if the store fails.
    #[crate::boxed_future]
    pub async fn get(&self, caller: &Caller, kind: &str, id: &str) -> Result<LimitBody, ApiError> {
        let (organisation, subject) = subject_of(caller, kind, id)?;
        let record = self.0.store.limits().get(organisation, subject).await.map_err(error::store)?;
        let record = record.ok_or_else(no_limits)?;
        self.body(organisation, subject, record.limits).await
    }

    /// Sets the limits of one subject, in place of the earlier ones. They hold at once in this process, and within ten
    /// seconds in others.
    ///
    /// # Errors
    /// `not_found` for a subject that isn't in the caller's organisation; `forbidden`; `invalid_request` for a limit that can't be
    /// one, and without any; `internal` if the store fails.
    #[crate::boxed_future]
    pub async fn set(
        &self,
        caller: &Caller,
        kind: &str,
        id: &str,
        limits: Limits,
    ) -> Result<LimitBody, ApiError> {
        let (organisation, subject) = subject_of(caller, kind, id)?;
        require_setter(caller, subject)?;
        if limits.is_empty() {
            let message = "the body sets no limit; name one, such as requests_per_hour, or remove the limits with DELETE";
            return Err(ApiError::invalid("body", message));
        }
        let limits = Self::check(limits)?;
        self.require_existing(caller, organisation, subject).await?;
        let record = LimitRecord::new(subject, limits.clone(), caller.user, Timestamp::now());
        self.0.store.limits().put(organisation, subject, &record).await.map_err(error::store)?;
        self.0.organisations.forget(&organisation);
        self.body(organisation, subject, limits).await
    }

    /// Checks that limits are possible ones.
    ///
    /// # Errors
    /// `invalid_request` for the first that isn't.
    pub fn check(limits: Limits) -> Result<Limits, ApiError> {
        match limits.invalid() {
            None => Ok(limits),
            Some(name) => {
                let message = format!("{name} must be above 0; leave it out for no limit");
                Err(ApiError::invalid(name, message))
            }
        }
    }

    /// Sets the limits of a token that the caller has just created.
    ///
    /// # Errors
    /// `internal` if the store fails.
    #[crate::boxed_future]
    pub async fn set_of_new_token(
        &self,
        caller: &Caller,
        token: TokenId,
        limits: Limits,
    ) -> Result<(), ApiError> {
        let (organisation, subject) = (caller.organisation, LimitSubject::Token(token));
        let record = LimitRecord::new(subject, limits, caller.user, Timestamp::now());
        self.0.store.limits().put(organisation, subject, &record).await.map_err(error::store)?;
        self.0.organisations.forget(&organisation);
        Ok(())
    }

    /// Removes the limits of one subject. A user has the defaults again.
    ///
    /// # Errors
    /// As [`LimitAccess::set`].
    #[crate::boxed_future]
    pub async fn remove(&self, caller: &Caller, kind: &str, id: &str) -> Result<(), ApiError> {
        let (organisation, subject) = subject_of(caller, kind, id)?;
        require_setter(caller, subject)?;
        let store = self.0.store.limits();
        store.get(organisation, subject).await.map_err(error::store)?.ok_or_else(no_limits)?;
        if let Some(role) = self.role(caller, organisation, subject).await? {
            require_covered(caller, role)?;
        }
        store.delete(organisation, subject).await.map_err(error::store)?;
        self.0.organisations.forget(&organisation);
        Ok(())
    }

    /// Checks that a subject is the organisation's, and that the caller's role covers the one of the member whose it is.
    async fn require_existing(
        &self,
        caller: &Caller,
        organisation: OrganisationId,
        subject: LimitSubject,
    ) -> Result<(), ApiError> {
        let organisations = self.0.store.organisations();
        let exists = match subject {
            LimitSubject::User(_) | LimitSubject::Token(_) | LimitSubject::AccessKey(_) => {
                let role = self.role(caller, organisation, subject).await?.ok_or_else(no_subject)?;
                return require_covered(caller, role);
            }
            LimitSubject::Team(team) => {
                organisations.team(organisation, team).await.map_err(error::store)?.is_some()
            }
            LimitSubject::Ceiling(organisation) => {
                organisations.get(organisation).await.map_err(error::store)?.is_some()
            }
            LimitSubject::Organisation(_) => true,
        };
        exists.then_some(()).ok_or_else(no_subject)
    }

    /// The role of the member who a subject is, or whose token or access key it is; none if there is no such member.
    async fn role(
        &self,
        caller: &Caller,
        organisation: OrganisationId,
        subject: LimitSubject,
    ) -> Result<Option<MemberRole>, ApiError> {
        let user = match subject {
            LimitSubject::User(user) => user,
            LimitSubject::Token(_) | LimitSubject::AccessKey(_) => {
                let Some(user) = self.holder(caller, organisation, subject).await? else { return Ok(None) };
                user
            }
            LimitSubject::Team(_) | LimitSubject::Organisation(_) | LimitSubject::Ceiling(_) => {
                return Ok(None);
            }
        };
        let member = self.0.store.organisations().member(organisation, user).await.map_err(error::store)?;
        // The operator of data from before there were organisations has no record there.
        let operator = (organisation == OrganisationId::of_operator(user)).then_some(MemberRole::Owner);
        Ok(member.map(|member| member.role).or(operator))
    }

    /// The member whose token or access key a subject is, in the organisation. Tokens have no index by their ids: those of all
    /// members are read, the caller's first.
    async fn holder(
        &self,
        caller: &Caller,
        organisation: OrganisationId,
        subject: LimitSubject,
    ) -> Result<Option<UserId>, ApiError> {
        let mut users = vec![caller.user, organisation.with_prefix_of_users()];
        for user in users.drain(..) {
            if self.holds(user, organisation, subject).await?.is_some() {
                return Ok(Some(user));
            }
        }
        let members = self.0.store.organisations().members(organisation).await.map_err(error::store)?;
        users.extend(members.into_iter().map(|member| member.user));
        for some in users.chunks(MEMBERS_AT_ONCE) {
            let lookups = some.iter().copied().map(|user| self.holds(user, organisation, subject));
            if let Some(user) = try_join_all(lookups).await?.into_iter().flatten().next() {
                return Ok(Some(user));
            }
        }
        Ok(None)
    }

    /// The user, if a token or an access key is theirs and acts in the organisation.
    async fn holds(
        &self,
        user: UserId,
        organisation: OrganisationId,
        subject: LimitSubject,
    ) -> Result<Option<UserId>, ApiError> {
        let store = &self.0.store;
        let holds = match subject {
            LimitSubject::Token(id) => {
                let tokens = store.tokens().of(user).await.map_err(error::store)?;
                tokens.iter().any(|token| token.id == id && token.organisation == organisation)
            }
            LimitSubject::AccessKey(id) => {
                let keys = store.access_keys().of(user).await.map_err(error::store)?;
                keys.iter().any(|key| key.id == id && key.organisation == organisation)
            }
            _ => false,
        };
        Ok(holds.then_some(user))
    }

    async fn body(
        &self,
        organisation: OrganisationId,
        subject: LimitSubject,
        limits: Limits,
    ) -> Result<LimitBody, ApiError> {
        let now = Timestamp::now();
        let mut budgets = Vec::new();
        self.0.settle_organisation(organisation).await?;
        for period in Period::ALL {
            let Some(budget) = limits.budget(period) else { continue };
            let id = counter_of(organisation, &PlannedBudget { subject, period, budget }, now);
            let counter = self.0.store.budgets().counter(&id).await.map_err(error::store)?;
            let reserved = |held: i64, spent: i64| held.saturating_sub(spent).max(0);
            budgets.push(BudgetBody {
                period: period.as_str().to_owned(),
                ends_at: period.end_at(now).to_string(),
                tokens_spent: counter.spent_tokens,
                tokens_reserved: reserved(counter.held_tokens, counter.spent_tokens),
                dollars_spent: dollars(counter.spent_nanodollars),
                dollars_reserved: dollars(reserved(counter.held_nanodollars, counter.spent_nanodollars)),
            });
        }
        Ok(LimitBody { kind: subject.kind().to_owned(), id: subject.id(), limits, budgets })
    }
}

/// The subject that a path names, and the organisation whose limits it is among.
fn subject_of(caller: &Caller, kind: &str, id: &str) -> Result<(OrganisationId, LimitSubject), ApiError> {
    let subject = LimitSubject::parse(kind, id).ok_or_else(no_subject)?;
    match subject {
        LimitSubject::Ceiling(organisation) => {
            caller.require(Action::Administer)?;
            Ok((organisation, subject))
        }
        LimitSubject::Organisation(organisation) if organisation != caller.organisation => Err(no_subject()),
        _ => Ok((caller.organisation, subject)),
    }
}

/// Checks that a caller who manages members may set the limits of a subject: the organisation's own are its owners', and so are
/// those that the operator sets for his own organisation.
fn require_setter(caller: &Caller, subject: LimitSubject) -> Result<(), ApiError> {
    match subject {
        LimitSubject::Organisation(organisation) | LimitSubject::Ceiling(organisation)
            if organisation == caller.organisation =>
        {
            caller.require(Action::ManageOrganisation)
        }
        _ => Ok(()),
    }
}

/// Checks that the caller's role covers the one of the member whose limits are changed.
fn require_covered(caller: &Caller, role: MemberRole) -> Result<(), ApiError> {
    if caller.role.covers(role) {
        return Ok(());
    }
    let message = format!(
        "the role {:?} can't change the limits of members who have the role {:?}; an owner can",
        caller.role.as_str(),
        role.as_str()
    );
    Err(ApiError::new(ErrorCode::Forbidden, message).with("action", Action::ManageMembers.as_str()))
}

fn no_subject() -> ApiError {
    let message = "there is no such user, team, token, access_key or organisation here; the path is \
                   /v1/limits/KIND/ID, with one of these kinds";
    ApiError::new(ErrorCode::NotFound, message)
}

fn no_limits() -> ApiError {
    ApiError::new(ErrorCode::NotFound, "it has no limits of its own")
}

fn dollars(nanodollars: i64) -> String {
    Cost::from_nanodollars(u64::try_from(nanodollars).unwrap_or_default()).to_string()
}
