//! Organisations: created, listed, changed, deleted.

use std::{sync::Arc, time::Duration};

use futures::future::try_join_all;
use hearth_domain::{
    CredentialOwner, MemberRole, OrganisationId, Owner, Timestamp, UserId,
    region::{REGION_RULE, is_region},
};
use hearth_store::{
    Store,
    organisations::{MemberRecord, OrganisationRecord},
};
use hearth_wire::{
    ApiError, ErrorCode,
    native::organisations::{
        ChangeOrganisation, CreateOrganisation, OrganisationBody, OwnOrganisation, OwnOrganisations,
    },
};

use super::changes::{Unchanged, retry};
use crate::{
    access::{Access, Caller},
    error,
    keys::GatewayKeys,
    names::check_name,
    node_ending::NodeEnding,
};

/// Limit of the regions of an organisation.
const REGION_MAX_COUNT: usize = 16;

/// Organisations, their members and their teams; and, for the gateway's operators, those of all users.
#[derive(Debug)]
pub struct Organisations {
    pub(super) store: Store,
    pub(super) keys: Arc<GatewayKeys>,
    pub(super) access: Arc<Access>,
    pub(super) node_ending: Arc<NodeEnding>,
    /// Time for which the closed sessions of a member who has left stay.
    session_ttl: Duration,
}

impl Organisations {
    pub(crate) fn new(
        store: Store,
        keys: Arc<GatewayKeys>,
        access: Arc<Access>,
        node_ending: Arc<NodeEnding>,
        session_ttl: Duration,
    ) -> Self {
        Self { store, keys, access, node_ending, session_ttl }
    }

    /// Closes the sessions of a user who is no longer a member.
    pub(super) async fn close_sessions(&self, owner: Owner) -> Result<(), ApiError> {
        let expires_at = Timestamp::now().plus(self.session_ttl);
        self.store.sessions().close_all(owner, expires_at).await.map_err(error::store)
    }

    /// Creates the operator's user record and their organisation, if they are missing: in a new store, and in one from before
    /// there were organisations. Concurrent callers create them once.
    ///
    /// # Errors
    /// `internal` if the store fails.
    #[crate::boxed_future]
    pub async fn ensure_operators(&self) -> Result<OrganisationId, ApiError> {
        self.access.ensure_operators().await
    }

    /// Creates an organisation.
    ///
    /// # Errors
    /// `invalid_request` for a bad name or region, or if there is no such user.
    #[crate::boxed_future]
    pub async fn create(
        &self,
        caller: &Caller,
        request: CreateOrganisation,
    ) -> Result<OrganisationBody, ApiError> {
        let owner = request.owner.unwrap_or(caller.user);
        self.ensure_operators().await?;
        if self.store.users().get(owner).await.map_err(error::store)?.is_none() {
            return Err(ApiError::invalid("owner", "there is no user with this id"));
        }
        let regions = checked_regions(request.regions)?;
        let record = OrganisationRecord::new(OrganisationId::new(), check_name(&request.name)?);
        let record = OrganisationRecord { regions, ..record };
        let member = MemberRecord::new(record.id, owner, MemberRole::Owner);
        self.store.organisations().create(&record, &member).await.map_err(error::store)?;
        tracing::info!(organisation = %record.id, %owner, "an organisation was created");
        Ok(self.body(caller, record))
    }

    /// The caller's organisations, oldest first.
    ///
    /// # Errors
    /// `internal` if the store fails.
    #[crate::boxed_future]
    pub async fn own(&self, caller: &Caller) -> Result<OwnOrganisations, ApiError> {
        self.ensure_operators().await?;
        let organisations = self.store.organisations();
        let mut members = organisations.of_user(caller.user).await.map_err(error::store)?;
        // The index may be late, but the caller is a member of this one.
        if !members.iter().any(|member| member.organisation == caller.organisation) {
            let current =
                organisations.member(caller.organisation, caller.user).await.map_err(error::store)?;
            members.extend(current);
        }
        let records = try_join_all(members.iter().map(|member| organisations.get(member.organisation)));
        let records = records.await.map_err(error::store)?;
        let own = members.into_iter().zip(records).filter_map(|(member, record)| {
            let record = record?;
            Some(OwnOrganisation {
                current: record.id == caller.organisation,
                organisation: self.body(caller, record),
                role: member.role,
            })
        });
        Ok(OwnOrganisations { organisations: own.collect() })
    }

    /// An organisation, if it is the caller's.
    ///
    /// # Errors
    /// `not_found`.
    #[crate::boxed_future]
    pub async fn get(&self, caller: &Caller, id: OrganisationId) -> Result<OrganisationBody, ApiError> {
        let record = self.record(caller, id).await?;
        Ok(self.body(caller, record))
    }

    /// Changes the caller's organisation.
    ///
    /// # Errors
    /// `not_found`; `invalid_request` for a bad name or region.
    #[crate::boxed_future]
    pub async fn change(
        &self,
        caller: &Caller,
        id: OrganisationId,
        request: ChangeOrganisation,
    ) -> Result<OrganisationBody, ApiError> {
        require_own(caller, id)?;
        let name = request.name.as_deref().map(check_name).transpose()?;
        let regions = request.regions.map(checked_regions).transpose()?;
        let change = |record: &mut OrganisationRecord| {
            record.name = name.clone().unwrap_or_else(|| std::mem::take(&mut record.name));
            record.regions = regions.clone().unwrap_or_else(|| std::mem::take(&mut record.regions));
        };
        let record = self.change_record(id, change).await?;
        Ok(self.body(caller, record))
    }

    /// Deletes the caller's organisation, with its teams and memberships.
    ///
    /// # Errors
    /// `not_found`; `conflict` for the operator's organisation, and for one that has nodes.
    #[crate::boxed_future]
    pub async fn delete(&self, caller: &Caller, id: OrganisationId) -> Result<(), ApiError> {
        require_own(caller, id)?;
        self.delete_record(id).await
    }

    /// The record of the caller's organisation.
    ///
    /// # Errors
    /// `not_found` for another one.
    pub(super) async fn record(
        &self,
        caller: &Caller,
        id: OrganisationId,
    ) -> Result<OrganisationRecord, ApiError> {
        require_own(caller, id)?;
        self.record_of(id).await
    }

    /// The record of any organisation. The operator's is created if it is missing.
    ///
    /// # Errors
    /// `not_found`.
    pub(super) async fn record_of(&self, id: OrganisationId) -> Result<OrganisationRecord, ApiError> {
        let organisations = self.store.organisations();
        if let Some(record) = organisations.get(id).await.map_err(error::store)? {
            return Ok(record);
        }
        if self.ensure_operators().await? != id {
            return Err(no_such_organisation());
        }
        organisations.get(id).await.map_err(error::store)?.ok_or_else(no_such_organisation)
    }

    /// Changes an organisation's record.
    pub(super) async fn change_record(
        &self,
        id: OrganisationId,
        change: impl Fn(&mut OrganisationRecord),
    ) -> Result<OrganisationRecord, ApiError> {
        let record = retry(|| async {
            let before = self.record_of(id).await?;
            let mut after = before.clone();
            change(&mut after);
            Ok::<OrganisationRecord, Unchanged>(self.store.organisations().change(&before, after).await?)
        });
        let record = record.await?;
        self.access.forget_callers();
        Ok(record)
    }

    /// Deletes an organisation.
    ///
    /// # Errors
    /// `not_found`; `conflict` for the operator's organisation, and for one that has nodes.
    pub(super) async fn delete_record(&self, id: OrganisationId) -> Result<(), ApiError> {
        if self.ensure_operators().await? == id {
            let message = "the organisation of the gateway's operator can't be deleted";
            return Err(ApiError::new(ErrorCode::Conflict, message));
        }
        if !self.store.nodes().of(id).await.map_err(error::store)?.is_empty() {
            let message = "the organisation has nodes; remove them first";
            return Err(ApiError::new(ErrorCode::Conflict, message));
        }
        for team in self.store.organisations().teams(id).await.map_err(error::store)? {
            self.delete_keys(CredentialOwner::Team(team.id)).await?;
        }
        self.delete_keys(CredentialOwner::Organisation(id)).await?;
        self.store.registry(id).erase().await.map_err(error::store)?;
        let deleted = retry(|| async {
            let record = self.record_of(id).await?;
            let members = self.store.organisations().members(id).await?;
            self.store.organisations().delete(&record).await?;
            Ok::<Vec<UserId>, Unchanged>(members.into_iter().map(|member| member.user).collect())
        });
        let members = deleted.await?;
        self.access.forget_callers();
        // A member may have registered a model meanwhile.
        self.store.registry(id).erase().await.map_err(error::store)?;
        self.store.webhooks().delete_all(id).await.map_err(error::store)?;
        self.store.definitions().erase_organisation(id).await.map_err(error::store)?;
        for user in members {
            self.access.end_access(Owner { user, organisation: id }).await?;
            self.delete_own_keys(id, user).await?;
            self.end_files(id, user).await?;
            self.close_sessions(Owner { user, organisation: id }).await?;
        }
        tracing::info!(organisation = %id, "an organisation was deleted");
        Ok(())
    }

    pub(super) fn body(&self, caller: &Caller, record: OrganisationRecord) -> OrganisationBody {
        let is_operator = match self.access.operators() {
            Some(operators) => operators == record.id,
            None => caller.is_operator && caller.organisation == record.id,
        };
        OrganisationBody {
            is_operator,
            id: record.id.to_string(),
            name: record.name,
            regions: record.regions,
            owners: record.owners,
            created_at: record.created_at.to_string(),
            disabled_at: record.disabled_at.map(|at| at.to_string()),
        }
    }
}

/// Checks that an organisation is the one in which the caller acts.
///
/// # Errors
/// `not_found`: another organisation isn't there for the caller.
pub(super) fn require_own(caller: &Caller, id: OrganisationId) -> Result<(), ApiError> {
    if caller.organisation == id { Ok(()) } else { Err(no_such_organisation()) }
}

pub(super) fn no_such_organisation() -> ApiError {
    ApiError::new(ErrorCode::NotFound, "there is no organisation with this id among yours")
}

/// Checks regions; returns each once, in one order.
///
/// # Errors
/// `invalid_request` with the rule of a region's name.
pub(super) fn checked_regions(mut regions: Vec<String>) -> Result<Vec<String>, ApiError> {
    regions.sort_unstable();
    regions.dedup();
    if regions.len() > REGION_MAX_COUNT {
        let message = format!("an organisation has at most {REGION_MAX_COUNT} regions");
        return Err(ApiError::invalid("regions", message));
    }
    if !regions.iter().all(|region| is_region(region)) {
        return Err(ApiError::invalid("regions", REGION_RULE));
    }
    Ok(regions)
}
