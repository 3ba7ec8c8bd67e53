//! Erasures of users: jobs that delete what a user owns, in steps that can be repeated.
//!
//! A step deletes the data first, and then, in one transaction, its entries in the lists and the numbers of the report. A
//! process that dies in between repeats the step, and counts nothing twice.

use hearth_domain::{ErasureId, RevisionId, RunId, RunState, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use crate::{
    Store, StoreError,
    database::{Condition, Index, Item, Key, META, Query, Sort, Write},
    owned::OwnedEntry,
    users::{self, UserRecord, change_writes},
};

const VERSION: u32 = 1;
/// The partition of the erasures that haven't ended, in the second index.
const OPEN: &str = "ERASURES";

/// An erasure, and its report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErasureRecord {
    /// Its id.
    pub id: ErasureId,
    /// The user. After the erasure nothing leads from this id to a person.
    pub user: UserId,
    /// The user who asked for it: the same one, or an operator.
    pub requested_by: UserId,
    /// When it was asked for. From then on the user has no valid credential.
    pub requested_at: Timestamp,
    /// The earliest time of the last pass: by then no process serves a request of the user any more.
    pub last_pass_after: Timestamp,
    /// When everything was deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Timestamp>,
    /// The deleted things.
    pub deleted: ErasureCounts,
    /// Changes with each write.
    pub revision: RevisionId,
}

/// Numbers of deleted things.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ErasureCounts {
    /// Runs, with their events, texts and conversations.
    pub runs: u64,
    /// Artifacts with their files.
    pub artifacts: u64,
    /// Uploaded files with their bytes.
    pub files: u64,
    /// Sessions with their messages.
    pub sessions: u64,
    /// Private schemas and templates with their versions.
    pub definitions: u64,
    /// Cached answers.
    pub cached_answers: u64,
    /// API tokens.
    pub tokens: u64,
    /// Other credentials: access keys, logins, provider keys, identities.
    pub credentials: u64,
    /// Nodes.
    pub nodes: u64,
    /// Webhooks, with the log of their deliveries.
    pub webhooks: u64,
    /// Memberships of organisations.
    pub memberships: u64,
    /// Organisations whose only member the user was.
    pub organisations: u64,
    /// Consents and other items of the profile.
    pub profile_items: u64,
}

/// The erasures.
#[derive(Debug, Clone, Copy)]
pub struct Erasures<'a>(&'a Store);

impl Store {
    /// Erasures of users.
    #[must_use]
    pub fn erasures(&self) -> Erasures<'_> {
        Erasures(self)
    }
}

impl Erasures<'_> {
    /// Begins an erasure, and disables the user with it: `after` is their record then.
    ///
    /// # Errors
    /// `Conflict` if the user was changed meanwhile.
    pub async fn begin(
        &self,
        erasure: &ErasureRecord,
        before: &UserRecord,
        after: &UserRecord,
    ) -> Result<(), StoreError> {
        let mut writes = change_writes(before, after)?;
        writes.push(Write::Put(item(erasure)?, Condition::Absent));
        self.0.table.transact(writes).await
    }

    /// An erasure, with its report.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn get(&self, id: ErasureId) -> Result<Option<ErasureRecord>, StoreError> {
        self.0.table.get(&key(id)).await
    }

    /// The erasures that haven't ended.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn open(&self) -> Result<Vec<ErasureRecord>, StoreError> {
        let items = self.0.table.query(Query::of(Index::Gsi2, OPEN, Sort::All)).await?;
        items.iter().map(Item::read).collect()
    }

    /// Stores the progress of an erasure.
    ///
    /// # Errors
    /// `Conflict` if another process carries it out too.
    pub async fn save(&self, erasure: &mut ErasureRecord) -> Result<(), StoreError> {
        self.save_with(erasure, Vec::new()).await
    }

    /// The state of a run; none if there is no record that can be read.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn state_of_run(&self, id: RunId) -> Result<Option<RunState>, StoreError> {
        self.0.runs().state(id).await
    }

    /// Deletes a run, an artifact, a job and so on, but for its entry in the index. It can be repeated.
    ///
    /// # Errors
    /// If the table or the bucket can't be written.
    pub async fn erase_entry(&self, entry: OwnedEntry) -> Result<(), StoreError> {
        match entry {
            OwnedEntry::Run(id) => self.0.runs().erase(id).await,
            OwnedEntry::Artifact(id) => self.0.artifacts().erase(id).await,
            OwnedEntry::File(id) => self.0.files().erase(id).await,
            OwnedEntry::Session(id) => self.0.sessions().erase(id).await,
            OwnedEntry::Job(id) => self.0.jobs().erase(id).await,
            OwnedEntry::Batch(id) => self.0.batches().erase(id).await,
            OwnedEntry::Definition(id) => self.0.definitions().erase(id).await,
            OwnedEntry::DeletedWebhook(id) => self.0.deliveries().drop_all(id).await,
        }
    }

    /// Deletes the entries of things that are deleted, and counts them. At most 90 at a time.
    ///
    /// # Errors
    /// As for [`Erasures::save`].
    pub async fn forget_entries(
        &self,
        erasure: &mut ErasureRecord,
        entries: &[OwnedEntry],
    ) -> Result<(), StoreError> {
        let user = erasure.user;
        for entry in entries {
            match entry {
                OwnedEntry::Run(_) => erasure.deleted.runs += 1,
                OwnedEntry::Artifact(_) => erasure.deleted.artifacts += 1,
                OwnedEntry::File(_) => erasure.deleted.files += 1,
                OwnedEntry::Session(_) => erasure.deleted.sessions += 1,
                OwnedEntry::Definition(_) => erasure.deleted.definitions += 1,
                // The files of batches are counted, and webhooks when they are deleted.
                OwnedEntry::Job(_) | OwnedEntry::Batch(_) | OwnedEntry::DeletedWebhook(_) => {}
            }
        }
        let writes = entries.iter().map(|entry| Write::Delete(entry.key(user), Condition::Exists)).collect();
        self.save_with(erasure, writes).await
    }

    /// Deletes the user's API tokens and access keys, and the times of their last uses.
    ///
    /// # Errors
    /// As for [`Erasures::save`].
    pub async fn erase_tokens(&self, erasure: &mut ErasureRecord) -> Result<(), StoreError> {
        let user = erasure.user;
        let tokens = self.0.tokens().of(user).await?;
        let tokens = tokens.into_iter().map(|token| crate::tokens::key(&token.hash));
        self.delete_counted(erasure, tokens.collect(), |counts| &mut counts.tokens).await?;
        let keys = self.0.access_keys().of(user).await?;
        let keys = keys.into_iter().map(|record| crate::tokens::key(&record.hash));
        self.delete_counted(erasure, keys.collect(), |counts| &mut counts.credentials).await?;
        self.0.credential_uses().delete_all(user).await
    }

    /// Deletes the items of a list, which may be late: an item that is gone isn't counted again.
    async fn delete_counted(
        &self,
        erasure: &mut ErasureRecord,
        keys: Vec<Key>,
        count: impl Fn(&mut ErasureCounts) -> &mut u64,
    ) -> Result<(), StoreError> {
        for chunk in keys.chunks(CHUNK_MAX_ITEMS) {
            let mut writes = Vec::new();
            for key in chunk {
                if self.0.table.get_item(key).await?.is_some() {
                    writes.push(Write::Delete(key.clone(), Condition::Exists));
                }
            }
            if !writes.is_empty() {
                *count(&mut erasure.deleted) += writes.len() as u64;
                self.save_with(erasure, writes).await?;
            }
        }
        Ok(())
    }

    /// Deletes the items of the user's partition, such as consents, but for the profile.
    ///
    /// # Errors
    /// As for [`Erasures::save`].
    pub async fn erase_profile_items(&self, erasure: &mut ErasureRecord) -> Result<(), StoreError> {
        let items = self.0.table.query(Query::partition(users::pk(erasure.user), Sort::All)).await?;
        let keys: Vec<Key> =
            items.into_iter().map(|item| item.key).filter(|key| key.sk != users::PROFILE).collect();
        for chunk in keys.chunks(CHUNK_MAX_ITEMS) {
            erasure.deleted.profile_items += chunk.len() as u64;
            let writes = chunk.iter().map(|key| Write::Delete(key.clone(), Condition::Exists)).collect();
            self.save_with(erasure, writes).await?;
        }
        Ok(())
    }

    async fn save_with(&self, erasure: &mut ErasureRecord, mut writes: Vec<Write>) -> Result<(), StoreError> {
        let unchanged = Condition::AttributeEquals("revision", erasure.revision.to_string());
        erasure.revision = RevisionId::new();
        writes.push(Write::Put(item(erasure)?, unchanged));
        self.0.table.transact(writes).await
    }
}

/// Items that one transaction deletes. DynamoDB's limit is 100 writes.
const CHUNK_MAX_ITEMS: usize = 90;

fn item(erasure: &ErasureRecord) -> Result<Item, StoreError> {
    let item = Item::new(key(erasure.id), VERSION, erasure)?;
    Ok(match erasure.completed_at {
        None => item.in_gsi2(OPEN, erasure.id.to_string()),
        Some(_) => item,
    })
}

fn key(id: ErasureId) -> Key {
    Key::new(format!("ERASURE#{id}"), META)
}
