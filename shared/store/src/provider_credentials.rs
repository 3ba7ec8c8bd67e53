//! Credentials of providers that users, teams and organisations have stored, sealed.
//!
//! They have partitions of their own, not those of their owners: the functions' roles are for partitions, and only few
//! functions may read credentials.
//!
//! An organisation has a mark once a credential was stored within it: without the mark no request looks for
//! credentials of its users and teams.

use hearth_domain::{CredentialId, CredentialKind, CredentialOwner, OrganisationId, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    Store, StoreError, Table,
    database::{Condition, Item, Key, Query, Sort, Update, Write},
    key_wrapper::{KeyContext, Purpose, SEALED_FIELD, Sealed},
};

const VERSION: u32 = 1;
/// The sort key of an organisation's mark.
const MARK: &str = "MARK";
/// The field of the lease of a refresh.
const LEASE: &str = "lease";

/// A stored credential of a provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialRecord {
    /// Its id.
    pub id: CredentialId,
    /// Its owner.
    pub owner: CredentialOwner,
    /// The organisation within which it is used.
    pub organisation: OrganisationId,
    /// The user who stored it.
    pub created_by: UserId,
    /// The name that they chose.
    pub name: String,
    /// The name of the provider.
    pub provider: String,
    /// Its kind.
    pub kind: CredentialKind,
    /// The vendor whose API the server has, if it isn't that of the provider's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor: Option<String>,
    /// The address, if it isn't the vendor's. The sealed part has it too, and that one is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// The last characters of the key, or another part of the credential that isn't secret.
    pub hint: String,
    /// The credential.
    pub sealed: Sealed,
    /// Changes with each credential that its owner stores, and not with a refresh or a rotation of keys.
    pub secret_id: CredentialId,
    /// The end of the access token, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// The process that refreshes the access token, and until when it may; empty if none does.
    pub lease: String,
    /// When it was stored.
    pub created_at: Timestamp,
    /// When its owner changed it last.
    pub updated_at: Timestamp,
    /// The last check at the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified: Option<Verification>,
}

/// The result of a check at the provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verification {
    /// When it was made.
    pub at: Timestamp,
    /// The provider accepts the credential; `None` if it couldn't be checked.
    pub is_valid: Option<bool>,
    /// The result in words.
    pub result: String,
}

impl CredentialRecord {
    /// The context under which the credential is sealed.
    #[must_use]
    pub fn context(&self) -> KeyContext {
        context(self.owner, self.id)
    }
}

/// The context under which the credential `id` of `owner` is sealed.
#[must_use]
pub fn context(owner: CredentialOwner, id: CredentialId) -> KeyContext {
    KeyContext::new(Purpose::ProviderCredential, owner.to_string(), id.to_string())
}

/// The stored credentials of providers.
#[derive(Debug, Clone, Copy)]
pub struct ProviderCredentials<'a>(&'a Table);

impl Store {
    /// Credentials of providers.
    #[must_use]
    pub fn provider_credentials(&self) -> ProviderCredentials<'_> {
        ProviderCredentials(&self.table)
    }
}

impl ProviderCredentials<'_> {
    /// Stores a new credential, and its organisation's mark.
    ///
    /// # Errors
    /// `Conflict` if one with this id exists.
    pub async fn create(&self, record: &CredentialRecord) -> Result<(), StoreError> {
        let mark = Item::new(mark_key(record.organisation), VERSION, &serde_json::json!({}))?;
        let item = Item::new(key(record.owner, record.id), VERSION, record)?;
        let writes = vec![Write::Put(mark, Condition::Always), Write::Put(item, Condition::Absent)];
        self.0.transact(writes).await
    }

    /// True if a credential was ever stored in the organisation, by any of its users and teams.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn has_any(&self, organisation: OrganisationId) -> Result<bool, StoreError> {
        Ok(self.0.get_item(&mark_key(organisation)).await?.is_some())
    }

    /// The credentials of an owner, oldest first; a user's are those in all organisations.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn of(&self, owner: CredentialOwner) -> Result<Vec<CredentialRecord>, StoreError> {
        let query = Query::partition(partition(owner), Sort::Prefix(CredentialId::PREFIX.to_owned()));
        self.0.query(query).await?.iter().map(Item::read).collect()
    }

    /// A credential.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn get(
        &self,
        owner: CredentialOwner,
        id: CredentialId,
    ) -> Result<Option<CredentialRecord>, StoreError> {
        self.0.get(&key(owner, id)).await
    }

    /// Stores what its owner has changed of a credential: everything but its last check. A refresh that is under way
    /// loses its lease.
    ///
    /// # Errors
    /// `Conflict` if there is no such credential any more.
    pub async fn change(&self, record: &CredentialRecord) -> Result<(), StoreError> {
        let record = CredentialRecord { lease: String::new(), ..record.clone() };
        self.0.put(Item::new(key(record.owner, record.id), VERSION, &record)?, Condition::Exists).await
    }

    /// Stores the result of a check.
    ///
    /// # Errors
    /// `Conflict` if there is no such credential any more.
    pub async fn set_verified(
        &self,
        owner: CredentialOwner,
        id: CredentialId,
        verified: &Verification,
    ) -> Result<(), StoreError> {
        let set = vec![("verified", json(verified)?)];
        self.0.update(key(owner, id), Update { set, ..Update::default() }).await
    }

    /// Takes the lease of a refresh. Only one of those who have read the same record gets it.
    ///
    /// # Errors
    /// `Conflict` if another process was first, or the credential has changed.
    pub async fn begin_refresh(&self, record: &CredentialRecord, lease: &str) -> Result<(), StoreError> {
        let update = Update { set: vec![(LEASE, lease.into())], ..Update::default() };
        let is_unchanged = Condition::AttributeEquals(LEASE, record.lease.clone());
        self.write(record, update, is_unchanged).await
    }

    /// Stores a refreshed credential, and ends the lease.
    ///
    /// # Errors
    /// `Conflict` if the lease was lost, since the credential was changed or deleted.
    pub async fn end_refresh(
        &self,
        record: &CredentialRecord,
        lease: &str,
        sealed: Sealed,
        expires_at: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        let set = vec![
            (SEALED_FIELD, String::from(sealed).into()),
            ("expires_at", json(&expires_at)?),
            (LEASE, "".into()),
        ];
        let has_lease = Condition::AttributeEquals(LEASE, lease.to_owned());
        self.write(record, Update { set, ..Update::default() }, has_lease).await
    }

    /// Gives a lease back without a refreshed credential.
    ///
    /// # Errors
    /// `Conflict` if the lease was lost.
    pub async fn abort_refresh(&self, record: &CredentialRecord, lease: &str) -> Result<(), StoreError> {
        let update = Update { set: vec![(LEASE, "".into())], ..Update::default() };
        self.write(record, update, Condition::AttributeEquals(LEASE, lease.to_owned())).await
    }

    /// Deletes a credential, if it is there.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn delete(&self, owner: CredentialOwner, id: CredentialId) -> Result<(), StoreError> {
        self.0.delete(key(owner, id)).await
    }

    /// Deletes all credentials of an owner: at the erasure of a user, and the end of a team or an organisation.
    /// Returns their number.
    ///
    /// # Errors
    /// If the table can't be read or written.
    pub async fn delete_all(&self, owner: CredentialOwner) -> Result<u64, StoreError> {
        let records = self.of(owner).await?;
        for record in &records {
            self.delete(owner, record.id).await?;
        }
        Ok(records.len() as u64)
    }

    /// Deletes a user's own credentials within an organisation, which the user has left. Returns their number.
    ///
    /// # Errors
    /// If the table can't be read or written.
    pub async fn delete_own(&self, user: UserId, organisation: OrganisationId) -> Result<u64, StoreError> {
        let owner = CredentialOwner::User(user);
        let mut deleted = 0;
        for record in self.of(owner).await? {
            if record.organisation == organisation {
                self.delete(owner, record.id).await?;
                deleted += 1;
            }
        }
        Ok(deleted)
    }

    async fn write(
        &self,
        record: &CredentialRecord,
        update: Update,
        condition: Condition,
    ) -> Result<(), StoreError> {
        let write = Write::Update(key(record.owner, record.id), update, condition);
        self.0.write_in_order(vec![write]).await
    }
}

fn json(value: &impl Serialize) -> Result<Value, StoreError> {
    serde_json::to_value(value).map_err(StoreError::unreadable)
}

fn partition(owner: CredentialOwner) -> String {
    format!("CRED#{owner}")
}

fn key(owner: CredentialOwner, id: CredentialId) -> Key {
    Key::new(partition(owner), id.to_string())
}

fn mark_key(organisation: OrganisationId) -> Key {
    Key::new(partition(CredentialOwner::Organisation(organisation)), MARK)
}
