//! Users of identity providers: a subject of an issuer, the user it belongs to, and the organisations that the user was
//! admitted to.
//!
//! A subject has one user, by an item with a key of its own: of concurrent first sights one creates the user. An admission
//! stays when somebody removes the membership, so that a token doesn't undo the removal. It ends when the claims take the
//! membership away, so that later claims can give it back.

use hearth_domain::{OrganisationId, Timestamp, UserId, hex};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{
    Store, StoreError, Table,
    database::{Condition, Index, Item, Key, META, Query, Sort, Write},
    organisations::{MemberRecord, OrganisationRecord, Organisations},
    users::{UserRecord, create_writes},
};

const VERSION: u32 = 1;

/// A subject of an issuer, and its user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityRecord {
    /// The issuer.
    pub issuer: String,
    /// The user's id at the issuer.
    pub subject: String,
    /// The user.
    pub user: UserId,
    /// The address that the issuer had verified at the first sight. It signs nobody in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// The first sight.
    pub created_at: Timestamp,
}

/// An organisation that a user was admitted to by the claims of a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Admission {
    organisation: OrganisationId,
    admitted_at: Timestamp,
    /// When the claims of a token took the membership away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ended_at: Option<Timestamp>,
}

/// An ID token that has opened a login.
#[derive(Serialize, Deserialize)]
struct UsedToken {
    expires_at: Timestamp,
}

/// The users of identity providers.
#[derive(Debug, Clone, Copy)]
pub struct Identities<'a>(pub(crate) &'a Table);

impl Store {
    /// The users of identity providers.
    #[must_use]
    pub fn identities(&self) -> Identities<'_> {
        Identities(&self.table)
    }
}

impl Identities<'_> {
    /// The identity of a subject, if it has been seen.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn get(&self, issuer: &str, subject: &str) -> Result<Option<IdentityRecord>, StoreError> {
        self.0.get(&key(issuer, subject)).await
    }

    /// Stores a new identity with its new user.
    ///
    /// # Errors
    /// `Conflict` if the subject has an identity already, or the user exists.
    pub async fn create(&self, identity: &IdentityRecord, user: &UserRecord) -> Result<(), StoreError> {
        let item = Item::new(key(&identity.issuer, &identity.subject), VERSION, identity)?;
        let item = item.in_gsi1(user_partition(identity.user), identity.created_at.to_string());
        let mut writes = vec![Write::Put(item, Condition::Absent)];
        writes.extend(create_writes(user)?);
        self.0.transact(writes).await
    }

    /// True if the user of an identity was admitted to an organisation before.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn is_admitted(
        &self,
        identity: &IdentityRecord,
        organisation: OrganisationId,
    ) -> Result<bool, StoreError> {
        let admission = self.admission(identity, organisation).await?;
        Ok(admission.is_some_and(|admission| admission.ended_at.is_none()))
    }

    async fn admission(
        &self,
        identity: &IdentityRecord,
        organisation: OrganisationId,
    ) -> Result<Option<Admission>, StoreError> {
        self.0.get(&admission_key(identity, organisation)).await
    }

    /// Admits the user of an identity to an organisation, as `member`. `None`: they are a member already.
    ///
    /// # Errors
    /// `Conflict` if they were admitted before, or have become a member since.
    pub async fn admit(
        &self,
        identity: &IdentityRecord,
        organisation: &OrganisationRecord,
        member: Option<&MemberRecord>,
    ) -> Result<(), StoreError> {
        let before = self.admission(identity, organisation.id).await?;
        let unchanged = match before.map(|before| before.ended_at) {
            None => Condition::Absent,
            Some(Some(ended_at)) => Condition::AttributeEquals("ended_at", ended_at.to_string()),
            Some(None) => return Err(StoreError::Conflict),
        };
        let admission =
            Admission { organisation: organisation.id, admitted_at: Timestamp::now(), ended_at: None };
        let item = Item::new(admission_key(identity, organisation.id), VERSION, &admission)?;
        let mut writes = vec![Write::Put(item, unchanged)];
        if let Some(member) = member {
            writes.extend(Organisations::add_member_writes(organisation, member)?);
        }
        self.0.transact(writes).await
    }

    /// Ends an admission, and removes its member, who was read before.
    ///
    /// # Errors
    /// `Conflict` if the member was changed or removed since.
    pub async fn end_admission(
        &self,
        identity: &IdentityRecord,
        organisation: &OrganisationRecord,
        member: &MemberRecord,
    ) -> Result<(), StoreError> {
        let now = Timestamp::now();
        let admission = self.admission(identity, organisation.id).await?;
        let admitted_at = admission.map_or(now, |admission| admission.admitted_at);
        let ended = Admission { organisation: organisation.id, admitted_at, ended_at: Some(now) };
        let item = Item::new(admission_key(identity, organisation.id), VERSION, &ended)?;
        let mut writes = vec![Write::Put(item, Condition::Exists)];
        writes.extend(Organisations::remove_member_writes(organisation, member));
        self.0.transact(writes).await
    }

    /// The identities of a user, oldest first.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn of(&self, user: UserId) -> Result<Vec<IdentityRecord>, StoreError> {
        let items = self.0.query(Query::of(Index::Gsi1, user_partition(user), Sort::All)).await?;
        items.iter().map(Item::read).collect()
    }

    /// Deletes the identities of a user with their admissions. A later token of the same subject is a first sight.
    ///
    /// # Errors
    /// If the table can't be read or written; then some may be left.
    pub async fn delete_of(&self, user: UserId) -> Result<(), StoreError> {
        for identity in self.of(user).await? {
            let partition = key(&identity.issuer, &identity.subject).pk;
            let mut items = self.0.query(Query::partition(partition, Sort::All)).await?;
            // The identity is the last: without it an interrupted deletion couldn't be repeated.
            items.sort_by_key(|item| item.key.sk == META);
            for item in items {
                self.0.delete(item.key).await?;
            }
        }
        Ok(())
    }

    /// Marks an ID token as used until it expires.
    ///
    /// # Errors
    /// `Conflict` if it is used already.
    pub async fn use_token(&self, token_hash: &str, expires_at: Timestamp) -> Result<(), StoreError> {
        let key = Key::new(format!("SIGNIN#{token_hash}"), META);
        let item = Item::new(key, VERSION, &UsedToken { expires_at })?.expiring(expires_at.unix());
        self.0.put(item, Condition::Absent).await
    }
}

/// The partition of a subject. Issuer and subject may have any characters, so their lengths separate them.
fn key(issuer: &str, subject: &str) -> Key {
    let hash = hex(Sha256::digest(format!("{}:{issuer}{subject}", issuer.len())));
    Key::new(format!("IDENTITY#{hash}"), META)
}

fn admission_key(identity: &IdentityRecord, organisation: OrganisationId) -> Key {
    Key::new(key(&identity.issuer, &identity.subject).pk, format!("ORG#{organisation}"))
}

/// The identities of a user, in the index.
fn user_partition(user: UserId) -> String {
    format!("IDENTITIES#{user}")
}
