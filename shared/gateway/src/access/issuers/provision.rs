//! Users of identity providers: created at the first sight of their token, and kept as their claims have them.

use hearth_auth::IssuerClaims;
use hearth_domain::{Action, AuditEvent, MemberRole, OrganisationId, Owner, Timestamp, UserId};
use hearth_store::{
    StoreError,
    identities::IdentityRecord,
    organisations::{MemberRecord, OrganisationRecord},
    users::UserRecord,
};
use hearth_wire::ApiError;

use super::{
    IdentityProvider,
    grant::{Grant, forbidden, has_role_claims, has_role_rules, role_of},
};
use crate::{
    access::{Access, unauthorized},
    error,
};

/// Attempts at a removal while others change the member at the same time.
const REMOVAL_ATTEMPT_MAX_COUNT: u32 = 4;

/// The kind of a token whose claims are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ClaimsOf {
    /// An ID token, which has all claims of its user.
    SignIn,
    /// An access token, which may lack those that the ID token has.
    Bearer,
}

impl Access {
    /// The user whom a verified token names, and the organisation in which they act by it. Creates the user at the first
    /// sight, and has their membership follow the claims: it ends if they give no role.
    ///
    /// # Errors
    /// `forbidden` if the claims give no role, or the user may not be created; `unauthorized` if their membership was
    /// removed.
    pub(super) async fn user_of_claims(
        &self,
        provider: &IdentityProvider,
        claims: &IssuerClaims,
        claims_of: ClaimsOf,
    ) -> Result<(UserId, OrganisationId), ApiError> {
        let settings = &provider.settings;
        let is_decisive = claims_of == ClaimsOf::SignIn
            || settings.client_id.is_none()
            || has_role_claims(settings, claims);
        // The token is refused below in any case.
        if is_decisive
            && role_of(settings, claims).is_none()
            && let Err(error) = self.end_memberships(provider, claims).await
        {
            tracing::error!(provider = provider.name, %error, "a membership without a role couldn't be ended");
        }
        let grant = Grant::of(settings, claims)?;
        let organisation = self.organisation_of(&grant).await?;
        let (issuer, subject) = (provider.settings.issuer.as_str(), claims.subject());
        let identity = match self.store.identities().get(issuer, subject).await.map_err(error::store)? {
            Some(identity) => identity,
            None => self.create_user(provider, claims).await?,
        };
        self.follow_claims(provider, &identity, &organisation, &grant).await?;
        Ok((identity.user, organisation.id))
    }

    async fn organisation_of(&self, grant: &Grant) -> Result<OrganisationRecord, ApiError> {
        let operators = match self.store.find_operator().await.map_err(error::store)? {
            Some(operator) => OrganisationId::of_operator(operator),
            None => return Err(forbidden("this gateway has no owner yet")),
        };
        let id = grant.organisation.unwrap_or(operators);
        if id == operators && grant.is_claimed {
            // The settings alone let users into the organisation that operates the gateway.
            return Err(forbidden(
                "a claim doesn't give access to the organisation of the gateway's operator",
            ));
        }
        let mut record = self.store.organisations().get(id).await.map_err(error::store)?;
        if record.is_none() && id == operators {
            // Data from before there were organisations has no record of the operator's.
            self.ensure_operators().await?;
            record = self.store.organisations().get(id).await.map_err(error::store)?;
        }
        record.ok_or_else(|| forbidden("the organisation of this user isn't one of this gateway"))
    }

    /// Creates the user of an unknown subject. Of concurrent requests one creates it, and the others read it.
    async fn create_user(
        &self,
        provider: &IdentityProvider,
        claims: &IssuerClaims,
    ) -> Result<IdentityRecord, ApiError> {
        if !provider.settings.provision {
            return Err(forbidden("this user isn't known here, and the gateway creates none at a sign-in"));
        }
        let user = UserRecord::new(UserId::new(), claims.name());
        let identity = IdentityRecord {
            issuer: provider.settings.issuer.clone(),
            subject: claims.subject().to_owned(),
            user: user.id,
            email: claims.verified_email(),
            created_at: Timestamp::now(),
        };
        let identities = self.store.identities();
        match identities.create(&identity, &user).await {
            Ok(()) => Ok(identity),
            Err(StoreError::Conflict) => {
                let first =
                    identities.get(&identity.issuer, &identity.subject).await.map_err(error::store)?;
                first.ok_or_else(|| error::store(StoreError::Conflict))
            }
            Err(error) => Err(error::store(error)),
        }
    }

    /// Has the membership of a user follow the claims of their token. A membership that was removed isn't created again.
    async fn follow_claims(
        &self,
        provider: &IdentityProvider,
        identity: &IdentityRecord,
        organisation: &OrganisationRecord,
        grant: &Grant,
    ) -> Result<(), ApiError> {
        let (identities, organisations) = (self.store.identities(), self.store.organisations());
        let member =
            async || organisations.member(organisation.id, identity.user).await.map_err(error::store);
        let reads = (member(), async {
            identities.is_admitted(identity, organisation.id).await.map_err(error::store)
        });
        let (current, is_admitted) = tokio::try_join!(reads.0, reads.1)?;
        let mut is_added = false;
        if !is_admitted {
            let teams = grant.teams_with(&provider.settings, &[]);
            let new = MemberRecord { teams, ..MemberRecord::new(organisation.id, identity.user, grant.role) };
            let new = current.is_none().then_some(&new);
            match identities.admit(identity, organisation, new).await {
                Ok(()) => is_added = new.is_some(),
                // Another request has admitted the user meanwhile.
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error::store(error)),
            }
        }
        if is_added {
            self.record_membership(provider, organisation.id, identity.user, Some(grant.role)).await?;
        }
        match current {
            Some(current) => self.update_member(provider, organisation, current, grant).await,
            // Admission and membership are written together, perhaps by another request between the two reads above. A
            // membership that is missing after the admission was removed.
            None => member().await?.map(drop).ok_or_else(unauthorized),
        }
    }

    /// Changes role and teams of a member to those of the claims, if these decide them. Owners are named in Hearth alone.
    async fn update_member(
        &self,
        provider: &IdentityProvider,
        organisation: &OrganisationRecord,
        current: MemberRecord,
        grant: &Grant,
    ) -> Result<(), ApiError> {
        let is_decided = has_role_rules(&provider.settings) && current.role != MemberRole::Owner;
        let role = if is_decided { grant.role } else { current.role };
        let teams = grant.teams_with(&provider.settings, &current.teams);
        let mut sorted = current.teams.clone();
        sorted.sort_unstable();
        if role == current.role && teams == sorted {
            return Ok(());
        }
        let after = MemberRecord { role, teams, ..current.clone() };
        match self.store.organisations().change_member(organisation, &current, after).await {
            Ok(_) => {
                self.forget_callers();
                self.record_membership(provider, organisation.id, current.user, Some(role)).await
            }
            // Another request changes the member; the next token compares again.
            Err(StoreError::Conflict) => Ok(()),
            Err(error) => Err(error::store(error)),
        }
    }

    /// Ends the memberships to which the user of these claims was admitted by their tokens, with logins, tokens, access
    /// keys and own keys of providers. Owners are named in Hearth alone, and stay.
    async fn end_memberships(
        &self,
        provider: &IdentityProvider,
        claims: &IssuerClaims,
    ) -> Result<(), ApiError> {
        let (identities, organisations) = (self.store.identities(), self.store.organisations());
        let identity = identities.get(&provider.settings.issuer, claims.subject()).await;
        let Some(identity) = identity.map_err(error::store)? else { return Ok(()) };
        let user = identity.user;
        for member in organisations.of_user(user).await.map_err(error::store)? {
            let id = member.organisation;
            if self.end_membership(&identity, id).await? {
                self.end_access(Owner { user, organisation: id }).await?;
                self.store.provider_credentials().delete_own(user, id).await.map_err(error::store)?;
                self.store.webhooks().delete_own(user, id).await.map_err(error::store)?;
                tracing::info!(organisation = %id, %user, provider = provider.name, "claims ended a membership");
                self.record_membership(provider, id, user, None).await?;
            }
        }
        Ok(())
    }

    /// Returns whether there was a membership to end.
    async fn end_membership(&self, identity: &IdentityRecord, id: OrganisationId) -> Result<bool, ApiError> {
        let (identities, organisations) = (self.store.identities(), self.store.organisations());
        for _ in 0..REMOVAL_ATTEMPT_MAX_COUNT {
            if !identities.is_admitted(identity, id).await.map_err(error::store)? {
                return Ok(false);
            }
            let reads = (organisations.get(id), organisations.member(id, identity.user));
            let (Some(record), Some(member)) = tokio::try_join!(reads.0, reads.1).map_err(error::store)?
            else {
                return Ok(false);
            };
            if member.role == MemberRole::Owner {
                return Ok(false);
            }
            match identities.end_admission(identity, &record, &member).await {
                Ok(()) => return Ok(true),
                // Another request has changed the member.
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error::store(error)),
            }
        }
        Err(error::store(StoreError::Conflict))
    }

    /// Records a membership that claims have given, changed or ended.
    async fn record_membership(
        &self,
        provider: &IdentityProvider,
        organisation: OrganisationId,
        user: UserId,
        role: Option<MemberRole>,
    ) -> Result<(), ApiError> {
        let role = role.map_or("none", MemberRole::as_str);
        let details = [("provider", provider.name.as_str()), ("role", role)];
        let event = AuditEvent {
            organisation: Some(organisation),
            user: Some(user),
            resources: vec![user.to_string()],
            details: details.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            ..AuditEvent::new(Action::ManageMembers.as_str(), "follow_claims")
        };
        self.issuers.audit.record(event).await.map(drop)
    }
}
