//! Stored credentials of providers: created, listed, changed, checked at the provider, deleted.

use hearth_domain::{CredentialId, CredentialKind, CredentialOwner, OrganisationId, TeamId, Timestamp};
use hearth_providers::{Endpoint, KeyCheck, ProviderSettings, vendor};
use hearth_store::{
    StoreError,
    provider_credentials::{CredentialRecord, Verification, context},
};
use hearth_wire::{
    ApiError, ErrorCode,
    native::provider_keys::{
        CreateProviderKey, CredentialBody, ProviderKeyBody, ProviderKeyList, UpdateProviderKey,
        VerificationBody,
    },
};

use super::organisations::require_own;
use crate::{
    Gateway,
    access::Caller,
    components::Components,
    error,
    providers::own_keys::{
        accounts::CHECK_INTERVAL,
        secret::{CredentialSecret, SecretParts},
    },
};

/// Limit of the credentials of one owner.
const KEY_MAX_COUNT: usize = 50;
const NAME_MAX_CHARS: usize = 100;
/// The vendor of an address without one.
const DEFAULT_VENDOR: &str = "openai_compatible";

impl Gateway {
    /// Stored credentials of providers.
    #[must_use]
    pub fn provider_keys(&self) -> ProviderKeys<'_> {
        ProviderKeys(&self.0)
    }
}

/// Stored credentials of providers.
#[derive(Debug, Clone, Copy)]
pub struct ProviderKeys<'a>(&'a Components);

/// The credentials that a request is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyScope {
    /// The caller's own credentials.
    Own,
    /// The credentials of an organisation and its teams.
    Organisation(OrganisationId),
}

impl ProviderKeys<'_> {
    /// Stores a credential. Nothing is sent to the provider.
    ///
    /// # Errors
    /// `not_found` for another organisation, and a team that it doesn't have; `invalid_request`; `conflict` if the
    /// owner has too many.
    #[crate::boxed_future]
    pub async fn create(
        &self,
        caller: &Caller,
        scope: KeyScope,
        request: CreateProviderKey,
    ) -> Result<ProviderKeyBody, ApiError> {
        let owner = self.owner(caller, scope, request.team.as_deref()).await?;
        let kind = request.kind.unwrap_or(CredentialKind::ApiKey);
        let secret = self.secret(&request.provider, kind, &request.credential).await?;
        let name = checked_name(request.name.as_deref().unwrap_or(&request.provider))?;
        let credentials = self.0.store.provider_credentials();
        let existing = credentials.of(owner).await.map_err(error::store)?;
        if existing.len() >= KEY_MAX_COUNT {
            let message =
                format!("there are {KEY_MAX_COUNT} keys already; delete one that isn't used any more");
            return Err(ApiError::new(ErrorCode::Conflict, message));
        }
        let (id, now) = (CredentialId::new(), Timestamp::now());
        let sealed = self.0.store.seal(&context(owner, id), &secret.to_secret()).await;
        let mut record = CredentialRecord {
            id,
            owner,
            organisation: caller.organisation,
            created_by: caller.user,
            name,
            provider: request.provider,
            kind,
            vendor: None,
            base_url: None,
            hint: String::new(),
            sealed: sealed.map_err(error::store)?,
            secret_id: id,
            expires_at: None,
            lease: String::new(),
            created_at: now,
            updated_at: now,
            verified: None,
        };
        describe(&mut record, &secret);
        credentials.create(&record).await.map_err(error::store)?;
        self.0.providers.stored_keys.forget(record.organisation, owner);
        Ok(body(record))
    }

    /// The credentials of a scope, oldest first.
    ///
    /// # Errors
    /// `not_found` for another organisation.
    #[crate::boxed_future]
    pub async fn list(&self, caller: &Caller, scope: KeyScope) -> Result<ProviderKeyList, ApiError> {
        let mut records = Vec::new();
        for owner in self.owners(caller, scope).await? {
            records.extend(self.0.store.provider_credentials().of(owner).await.map_err(error::store)?);
        }
        records.retain(|record| record.organisation == caller.organisation);
        Ok(ProviderKeyList { provider_keys: records.into_iter().map(body).collect() })
    }

    /// A credential of a scope.
    ///
    /// # Errors
    /// `not_found`.
    #[crate::boxed_future]
    pub async fn get(
        &self,
        caller: &Caller,
        scope: KeyScope,
        id: CredentialId,
    ) -> Result<ProviderKeyBody, ApiError> {
        self.find(caller, scope, id).await.map(body)
    }

    /// Changes a credential's name, or replaces its secret.
    ///
    /// # Errors
    /// `not_found`; `invalid_request`.
    #[crate::boxed_future]
    pub async fn update(
        &self,
        caller: &Caller,
        scope: KeyScope,
        id: CredentialId,
        request: UpdateProviderKey,
    ) -> Result<ProviderKeyBody, ApiError> {
        let mut record = self.find(caller, scope, id).await?;
        if let Some(name) = &request.name {
            record.name = checked_name(name)?;
        }
        if let Some(credential) = &request.credential {
            let secret = self.secret(&record.provider, record.kind, credential).await?;
            record.sealed =
                self.0.store.seal(&record.context(), &secret.to_secret()).await.map_err(error::store)?;
            record.secret_id = CredentialId::new();
            record.verified = None;
            describe(&mut record, &secret);
        }
        record.updated_at = Timestamp::now();
        let changed = self.0.store.provider_credentials().change(&record).await;
        changed.map_err(|error| match error {
            StoreError::Conflict => no_such_key(),
            error => error::store(error),
        })?;
        self.forget(&record);
        Ok(body(record))
    }

    /// Deletes a credential. A run that is under way goes on.
    ///
    /// # Errors
    /// `not_found`.
    #[crate::boxed_future]
    pub async fn delete(&self, caller: &Caller, scope: KeyScope, id: CredentialId) -> Result<(), ApiError> {
        let record = self.find(caller, scope, id).await?;
        self.0.store.provider_credentials().delete(record.owner, id).await.map_err(error::store)?;
        self.forget(&record);
        Ok(())
    }

    /// Checks a credential at its provider, by requests that cost nothing, and stores the result. Soon after a check its
    /// result is the answer.
    ///
    /// # Errors
    /// `not_found`; `rate_limited` while another request checks it.
    #[crate::boxed_future]
    pub async fn verify(
        &self,
        caller: &Caller,
        scope: KeyScope,
        id: CredentialId,
    ) -> Result<VerificationBody, ApiError> {
        let record = self.find(caller, scope, id).await?;
        let providers = &self.0.providers;
        if !providers.accounts.begin_check(&record) {
            return record.verified.map(verification_body).ok_or_else(|| {
                let message = "the key is being checked, or was a moment ago; look at it, or try again later";
                ApiError::new(ErrorCode::RateLimited, message).with_retry_after(Some(CHECK_INTERVAL))
            });
        }
        let routing = self.0.configuration.current().await;
        // The stored credential is checked, and not one that was opened before.
        self.forget(&record);
        let opened = providers.accounts.open(&record, routing.providers.get(&record.provider)).await;
        let check = match opened {
            Ok(provider) => provider.verify().await,
            Err(error) if error.code == ErrorCode::ProviderAuth => KeyCheck::Refused(error),
            Err(error) => KeyCheck::Unknown(error),
        };
        let (is_valid, result) = in_words(check);
        let verification = Verification { at: Timestamp::now(), is_valid, result };
        let credentials = self.0.store.provider_credentials();
        match credentials.set_verified(record.owner, id, &verification).await {
            Err(StoreError::Conflict) => return Err(no_such_key()),
            other => other.map_err(error::store)?,
        }
        providers.stored_keys.forget(record.organisation, record.owner);
        if is_valid == Some(true) {
            providers.refresh_models_of(record, &routing).await;
        }
        Ok(verification_body(verification))
    }

    /// The credential to check, the caller's own or, if they may manage those, the organisation's.
    ///
    /// # Errors
    /// `not_found`.
    #[crate::boxed_future]
    pub async fn scope_of(&self, caller: &Caller, id: CredentialId) -> Result<KeyScope, ApiError> {
        if self.find(caller, KeyScope::Own, id).await.is_ok() {
            return Ok(KeyScope::Own);
        }
        caller.require(hearth_domain::Action::ManageOrganisationKeys).map_err(|_| no_such_key())?;
        Ok(KeyScope::Organisation(caller.organisation))
    }

    async fn find(
        &self,
        caller: &Caller,
        scope: KeyScope,
        id: CredentialId,
    ) -> Result<CredentialRecord, ApiError> {
        for owner in self.owners(caller, scope).await? {
            let record = self.0.store.provider_credentials().get(owner, id).await.map_err(error::store)?;
            if let Some(record) = record.filter(|record| record.organisation == caller.organisation) {
                return Ok(record);
            }
        }
        Err(no_such_key())
    }

    /// The owner of a new credential.
    async fn owner(
        &self,
        caller: &Caller,
        scope: KeyScope,
        team: Option<&str>,
    ) -> Result<CredentialOwner, ApiError> {
        match (scope, team) {
            (KeyScope::Own, None) => Ok(CredentialOwner::User(caller.user)),
            (KeyScope::Own, Some(_)) => {
                Err(ApiError::invalid("team", "a user's own key has no team; store it for the organisation"))
            }
            (KeyScope::Organisation(id), team) => {
                require_own(caller, id)?;
                let Some(team) = team else { return Ok(CredentialOwner::Organisation(id)) };
                let no_such_team = || ApiError::new(ErrorCode::NotFound, "there is no team with this id");
                let team: TeamId = team.parse().map_err(|_| no_such_team())?;
                let record = self.0.store.organisations().team(id, team).await.map_err(error::store)?;
                record.map(|_| CredentialOwner::Team(team)).ok_or_else(no_such_team)
            }
        }
    }

    async fn owners(&self, caller: &Caller, scope: KeyScope) -> Result<Vec<CredentialOwner>, ApiError> {
        match scope {
            KeyScope::Own => Ok(vec![CredentialOwner::User(caller.user)]),
            KeyScope::Organisation(id) => {
                require_own(caller, id)?;
                let teams = self.0.store.organisations().teams(id).await.map_err(error::store)?;
                let teams = teams.into_iter().map(|team| CredentialOwner::Team(team.id));
                Ok(std::iter::once(CredentialOwner::Organisation(id)).chain(teams).collect())
            }
        }
    }

    /// The credential of a request, with the address that it belongs to: the one that is named, that of the operator's
    /// settings, or the vendor's.
    async fn secret(
        &self,
        provider: &str,
        kind: CredentialKind,
        credential: &CredentialBody,
    ) -> Result<CredentialSecret, ApiError> {
        let parts = SecretParts::from_body(kind, credential)?;
        let routing = self.0.configuration.latest().await;
        let settings = routing.providers.get(provider);
        let accounts = &self.0.providers.accounts;
        let own = ProviderSettings::default();
        let configured = Endpoint::new(provider, settings.unwrap_or(&own), None);
        let (vendor, base_url) = match (&credential.base_url, &credential.vendor, configured) {
            (None, None, Ok(endpoint)) => (endpoint.vendor.kind.to_owned(), endpoint.base_url),
            (None, None, Err(error)) => {
                let message = format!("{}; a key of another server has the kind endpoint_key", error.problem);
                return Err(ApiError::invalid("provider", message));
            }
            (base_url, vendor, configured) => {
                let usual = configured.map_or(DEFAULT_VENDOR, |endpoint| endpoint.vendor.kind);
                let vendor = vendor.as_deref().unwrap_or(usual);
                let of_vendor = vendor::of_kind(vendor).and_then(|vendor| vendor.base_url);
                let base_url = base_url.as_deref().or(of_vendor).unwrap_or_default();
                (vendor.to_owned(), base_url.trim_end_matches('/').to_owned())
            }
        };
        let (endpoint, _) = accounts.endpoint(provider, &vendor, &base_url, settings)?;
        if !matches!(parts, SecretParts::ApiKey { .. }) && matches!(endpoint.auth, vendor::Auth::Aws(_)) {
            return Err(ApiError::invalid("kind", "Amazon Bedrock takes no access tokens; store an api_key"));
        }
        if let Some(url) = parts.token_url() {
            accounts.check_address("credential.token_url", &url)?;
        }
        Ok(CredentialSecret { vendor, base_url, parts })
    }

    /// Has the next request read the credential again.
    fn forget(&self, record: &CredentialRecord) {
        let providers = &self.0.providers;
        providers.stored_keys.forget(record.organisation, record.owner);
        providers.accounts.forget(record.id);
    }
}

/// Sets the parts of a record that follow from its credential and aren't secret.
fn describe(record: &mut CredentialRecord, secret: &CredentialSecret) {
    let of_vendor = vendor::of_kind(&secret.vendor).and_then(|vendor| vendor.base_url);
    record.vendor = Some(secret.vendor.clone()).filter(|vendor| *vendor != record.provider);
    record.base_url = Some(secret.base_url.clone()).filter(|url| of_vendor != Some(url.as_str()));
    record.hint = secret.parts.hint();
    record.expires_at = secret.parts.expires_at();
}

fn in_words(check: KeyCheck) -> (Option<bool>, String) {
    match check {
        KeyCheck::Accepted(Some(count)) => {
            (Some(true), format!("the provider accepts it, and lists {count} models"))
        }
        KeyCheck::Accepted(None) => (Some(true), "the provider accepts it".to_owned()),
        KeyCheck::Refused(error) => (Some(false), format!("it is refused: {}", error.message)),
        KeyCheck::Unknown(error) => (None, format!("it can't be checked: {}", error.message)),
    }
}

fn checked_name(name: &str) -> Result<String, ApiError> {
    let length = name.chars().count();
    if name.trim().is_empty() || length > NAME_MAX_CHARS || name.chars().any(char::is_control) {
        let message = format!(
            "name must have 1 to {NAME_MAX_CHARS} characters, and no line breaks or other control characters"
        );
        return Err(ApiError::invalid("name", message));
    }
    Ok(name.to_owned())
}

fn no_such_key() -> ApiError {
    ApiError::new(ErrorCode::NotFound, "there is no key with this id")
}

pub(super) fn body(record: CredentialRecord) -> ProviderKeyBody {
    ProviderKeyBody {
        id: record.id.to_string(),
        owner: record.owner.payer(),
        owner_id: record.owner.to_string(),
        provider: record.provider,
        name: record.name,
        kind: record.kind,
        vendor: record.vendor,
        base_url: record.base_url,
        hint: record.hint,
        expires_at: record.expires_at.map(|at| at.to_string()),
        created_at: record.created_at.to_string(),
        updated_at: record.updated_at.to_string(),
        verified: record.verified.map(verification_body),
    }
}

fn verification_body(verification: Verification) -> VerificationBody {
    let Verification { at, is_valid, result } = verification;
    VerificationBody { valid: is_valid, result, at: at.to_string() }
}
