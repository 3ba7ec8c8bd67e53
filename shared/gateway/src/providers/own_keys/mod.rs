//! Keys of providers that users, teams and organisations have stored.
//!
//! - `secret`: the content of a sealed credential.
//! - `accounts`: opened credentials, as providers that can be called.
//! - `refresh`: access tokens of OAuth and of service accounts.
//! - `provider`: the provider of a run, which opens its credential when it is called.
//! - `merge`: the operator's providers with a caller's keys in the place of his.
//!
//! A request without such keys pays little: its organisation's mark is read once in ten seconds, and nothing else if
//! nobody there has stored a key.

pub(crate) mod accounts;
mod merge;
pub(crate) mod provider;
mod refresh;
pub(crate) mod secret;

use std::{sync::Arc, time::Duration};

use hearth_domain::{CredentialId, CredentialOwner, OrganisationId, Payer};
use hearth_providers::Provider;
use hearth_store::{Store, StoreError, provider_credentials::CredentialRecord};
use hearth_wire::ApiError;

use crate::{access::Caller, error, timed_cache::TimedCache};

/// Age at which the stored credentials are read again: a change in another process has effect here after this time.
const RECORDS_TTL: Duration = Duration::from_secs(10);
/// Age up to which they serve while the table can't be read.
const RECORDS_MAX_STALE_AGE: Duration = Duration::from_secs(3600);
/// Time after which a table that doesn't answer is taken for unreadable.
const READ_TIMEOUT: Duration = Duration::from_secs(1);
/// Limit of the number of cached owners, and of organisations.
const OWNER_MAX_COUNT: usize = 10_000;
/// Separates a provider's name from the id of a credential in the name of an account. No provider's name has it.
const SEPARATOR: char = '#';

/// The key of a provider in one request, if it isn't the operator's.
#[derive(Debug, Clone)]
pub(crate) struct OwnKey {
    /// The account at the provider: its name, and the credential's id.
    pub(crate) account: String,
    /// The owner of the key.
    pub(crate) payer: Payer,
    /// Changes with each credential that the owner stores.
    pub(crate) secret_id: Option<CredentialId>,
    /// The owner has named the provider's address, too.
    pub(crate) is_at_members_address: bool,
    /// The key was decrypted, so that the provider can be called.
    pub(crate) is_open: bool,
    /// The provider with the key; none if there is no key to use, and no other is used in its place.
    pub(crate) provider: Result<Arc<dyn Provider>, ApiError>,
}

/// The name of the account of a credential at a provider.
pub(crate) fn account_of(provider: &str, credential: CredentialId) -> String {
    format!("{provider}{SEPARATOR}{credential}")
}

/// The provider of an account.
pub(crate) fn provider_of(account: &str) -> &str {
    account.split(SEPARATOR).next().unwrap_or(account)
}

/// The stored credentials, cached for ten seconds.
#[derive(Debug)]
pub(crate) struct StoredKeys {
    store: Store,
    /// Organisations, and whether anybody there has stored a key.
    marks: TimedCache<OrganisationId, bool>,
    /// The credentials of each owner, oldest first.
    records: TimedCache<CredentialOwner, Arc<[CredentialRecord]>>,
}

impl StoredKeys {
    pub(crate) fn new(store: Store) -> Self {
        let marks = TimedCache::new(RECORDS_TTL, OWNER_MAX_COUNT).stale_up_to(RECORDS_MAX_STALE_AGE);
        let records = TimedCache::new(RECORDS_TTL, OWNER_MAX_COUNT).stale_up_to(RECORDS_MAX_STALE_AGE);
        Self { store, marks, records }
    }

    /// The credentials that the caller's requests use, one for each provider: the user's, else a team's, else the
    /// organisation's; of several of one owner the newest.
    ///
    /// # Errors
    /// `internal` if the store fails, and there is no earlier answer: nobody knows which key pays then.
    pub(crate) async fn of_caller(&self, caller: &Caller) -> Result<Vec<CredentialRecord>, ApiError> {
        let mut chosen: Vec<CredentialRecord> = Vec::new();
        if !self.has_any(caller).await? {
            return Ok(chosen);
        }
        for owner in owners(caller) {
            let records = self.of(owner).await?;
            for record in records.iter().rev().filter(|record| record.organisation == caller.organisation) {
                if chosen.iter().all(|other| other.provider != record.provider) {
                    chosen.push(record.clone());
                }
            }
        }
        Ok(chosen)
    }

    /// Has the next request read the credentials of an owner again.
    pub(crate) fn forget(&self, organisation: OrganisationId, owner: CredentialOwner) {
        self.marks.remove(&organisation);
        self.records.remove(&owner);
    }

    /// True if anybody in the caller's organisation has stored a key. While the table can't be read the last answer
    /// counts; without one the operator's own organisation goes on with his keys.
    async fn has_any(&self, caller: &Caller) -> Result<bool, ApiError> {
        let organisation = caller.organisation;
        if let Some(has_any) = self.marks.get(&organisation) {
            return Ok(has_any);
        }
        let has_any = match in_time(self.store.provider_credentials().has_any(organisation)).await {
            Ok(has_any) => has_any,
            Err(error) => {
                let before = self.marks.get_within(&organisation, RECORDS_MAX_STALE_AGE);
                before.or(caller.is_operator.then_some(false)).ok_or(error)?
            }
        };
        self.marks.put(organisation, has_any);
        Ok(has_any)
    }

    async fn of(&self, owner: CredentialOwner) -> Result<Arc<[CredentialRecord]>, ApiError> {
        if let Some(records) = self.records.get(&owner) {
            return Ok(records);
        }
        let records = match in_time(self.store.provider_credentials().of(owner)).await {
            Ok(records) => records.into(),
            Err(error) => self.records.get_within(&owner, RECORDS_MAX_STALE_AGE).ok_or(error)?,
        };
        self.records.put(owner, Arc::clone(&records));
        Ok(records)
    }
}

/// The answer of the store, within a limited time.
async fn in_time<T>(read: impl Future<Output = Result<T, StoreError>>) -> Result<T, ApiError> {
    let late = |_| {
        let reason = format!("no answer within {} s", READ_TIMEOUT.as_secs());
        StoreError::Unavailable { operation: "get_credentials", reason }
    };
    let answer = tokio::time::timeout(READ_TIMEOUT, read).await.map_err(late);
    answer.and_then(|answer| answer).map_err(error::store)
}

/// The owners of the keys that a caller's requests may use, in the order of precedence.
fn owners(caller: &Caller) -> impl Iterator<Item = CredentialOwner> {
    let user = CredentialOwner::User(caller.user);
    let teams: Vec<_> = caller.teams.iter().map(|team| CredentialOwner::Team(*team)).collect();
    let organisation = CredentialOwner::Organisation(caller.organisation);
    std::iter::once(user).chain(teams).chain(std::iter::once(organisation))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn account_has_the_name_of_its_provider() {
        let account = account_of("groq", CredentialId::new());
        assert!(account.starts_with("groq#cred_"));
        assert_eq!((provider_of(&account), provider_of("groq")), ("groq", "groq"));
    }
}
