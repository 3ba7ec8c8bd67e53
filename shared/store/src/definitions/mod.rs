//! Definitions: schemas and templates, each with its immutable versions.
//!
//! ```text
//! DEF#<id>             META                 the record, written under its revision
//!                      V#<version>          a version without its content
//!                      C#<version>          its content
//!                      USEDBY#<template>    of a schema: a template of the organisation that names it
//! DEFS#<kind>#<scope>  <name>               a copy of the record, by which it is found by its name and listed
//! DEFS#<kind>#PUBLIC   <name>#<id>          the same, of a public definition
//! ```
//!
//! The scope is a user, a team or an organisation: in each a name is unique. The record and its copies are written in one
//! transaction, so a list is as current as the record. A content has a limit by which it fits in an item.

mod names;
mod versions;

use std::collections::BTreeMap;

use hearth_domain::{
    DefinitionId, DefinitionKind, OrganisationId, Owner, RevisionId, SemanticVersion, TeamId, Timestamp,
    UserId, Visibility,
};
use serde::{Deserialize, Serialize};

pub use names::{DefinitionPage, DefinitionScope};
pub use versions::DefinitionVersion;

use crate::{
    Store, StoreError, Table,
    database::{Condition, Index, Item, Key, META, Query, Sort, Write},
    owned::OwnedEntry,
};

const VERSION: u32 = 1;
/// Prefix of a definition's partition key, before its id.
const PK_PREFIX: &str = "DEF#";

/// A definition without its versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DefinitionRecord {
    /// Its id.
    pub id: DefinitionId,
    /// The user who has created it.
    pub owner: UserId,
    /// The organisation in which it was created.
    pub organisation: OrganisationId,
    /// Its name, which never changes.
    pub name: String,
    /// Its purpose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Words to find it by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The users who may see it.
    pub visibility: Visibility,
    /// The team whose members may see it, if its visibility is that of a team.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<TeamId>,
    /// The latest version.
    pub latest: SemanticVersion,
    /// Number of its versions.
    pub version_count: u32,
    /// Versions by their labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, SemanticVersion>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
    /// Changes with each write.
    pub revision: RevisionId,
    /// True while it is being deleted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
}

impl DefinitionRecord {
    /// The user and the organisation that it belongs to.
    #[must_use]
    pub fn owner(&self) -> Owner {
        Owner { user: self.owner, organisation: self.organisation }
    }

    /// The scope in which its name is unique.
    #[must_use]
    pub fn scope(&self) -> DefinitionScope {
        match (self.visibility, self.team) {
            (Visibility::Private, _) => DefinitionScope::User(self.owner()),
            (Visibility::Team, Some(team)) => DefinitionScope::Team(self.organisation, team),
            _ => DefinitionScope::Organisation(self.organisation),
        }
    }
}

/// A record as it is stored.
#[derive(Serialize, Deserialize)]
struct Stored {
    /// The record, as JSON.
    record: String,
    /// A copy of its revision, for conditions.
    revision: RevisionId,
}

/// The definitions.
#[derive(Debug, Clone, Copy)]
pub struct Definitions<'a>(&'a Table);

impl Store {
    /// Schemas and templates.
    #[must_use]
    pub fn definitions(&self) -> Definitions<'_> {
        Definitions(&self.table)
    }
}

impl Definitions<'_> {
    /// Stores a new definition with its first version.
    ///
    /// # Errors
    /// `Conflict` if its scope has one with its name.
    pub async fn create(
        &self,
        record: &DefinitionRecord,
        version: &DefinitionVersion,
        content: &str,
    ) -> Result<(), StoreError> {
        if record.visibility == Visibility::Private {
            self.0.write_in_order(vec![OwnedEntry::Definition(record.id).write(record.owner)?]).await?;
        }
        let mut writes = vec![Write::Put(item(record)?, Condition::Absent)];
        writes.extend(names::puts(record, Condition::Absent)?);
        writes.extend(versions::puts(record.id, version, content)?);
        self.0.transact(writes).await
    }

    /// The definition with this id.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn get(&self, id: DefinitionId) -> Result<Option<DefinitionRecord>, StoreError> {
        self.0.get_item(&key(id, META)).await?.as_ref().map(read).transpose()
    }

    /// The definitions that a user has created in an organisation, the oldest first: private and shared ones. The index may be
    /// late.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn of_owner(&self, owner: Owner) -> Result<Vec<DefinitionRecord>, StoreError> {
        let query = Query::of(Index::Gsi1, organisation_pk(owner.organisation), Sort::All);
        let mut records = Vec::new();
        for item in self.0.query(query).await? {
            let record = read(&item)?;
            if record.owner == owner.user && !record.deleted {
                records.push(record);
            }
        }
        Ok(records)
    }

    /// Stores the changed fields of a record, which then has another revision. With `version` a new version and its content too.
    ///
    /// # Errors
    /// `Conflict` if the definition was changed since it was read, or another one has its name in its new scope.
    pub async fn update(
        &self,
        before: &DefinitionRecord,
        mut after: DefinitionRecord,
        version: Option<(&DefinitionVersion, &str)>,
    ) -> Result<DefinitionRecord, StoreError> {
        after.revision = RevisionId::new();
        let (was_private, is_private) =
            (before.visibility == Visibility::Private, after.visibility == Visibility::Private);
        if is_private && !was_private {
            self.0.write_in_order(vec![OwnedEntry::Definition(after.id).write(after.owner)?]).await?;
        }
        let mut writes = vec![Write::Put(item(&after)?, unchanged(before))];
        let moves = before.scope() != after.scope();
        writes.extend(names::puts(&after, if moves { Condition::Absent } else { Condition::Always })?);
        if moves {
            writes.push(Write::Delete(names::key_of(before), Condition::Always));
        }
        if before.visibility == Visibility::Public && after.visibility != Visibility::Public {
            writes.push(Write::Delete(names::public_key(before), Condition::Always));
        }
        if was_private && !is_private {
            // A shared definition is the organisation's: it outlives its author's account.
            writes
                .push(Write::Delete(OwnedEntry::Definition(before.id).key(before.owner), Condition::Always));
        }
        if let Some((version, content)) = version {
            writes.extend(versions::puts(after.id, version, content)?);
        }
        self.0.transact(writes).await?;
        Ok(after)
    }

    /// Deletes a definition with its versions. First it is marked and loses its name, so that no reader finds a part of it; the
    /// record and its entry in the owner's index are the last, so that an interrupted deletion can be repeated.
    ///
    /// # Errors
    /// `Conflict` if it was changed since it was read.
    pub async fn delete(&self, record: &DefinitionRecord) -> Result<(), StoreError> {
        self.delete_all_but_entry(record).await?;
        self.0.delete(OwnedEntry::Definition(record.id).key(record.owner)).await
    }

    async fn delete_all_but_entry(&self, record: &DefinitionRecord) -> Result<(), StoreError> {
        if !record.deleted {
            let marked = DefinitionRecord { deleted: true, revision: RevisionId::new(), ..record.clone() };
            let mut writes = vec![
                Write::Put(item(&marked)?, unchanged(record)),
                Write::Delete(names::key_of(record), Condition::Always),
            ];
            if record.visibility == Visibility::Public {
                writes.push(Write::Delete(names::public_key(record), Condition::Always));
            }
            self.0.transact(writes).await?;
        }
        self.delete_items(record.id).await
    }

    /// Deletes the user's private definition, but for its entry in the index; one that is shared is the organisation's, and stays.
    pub(crate) async fn erase(&self, id: DefinitionId) -> Result<(), StoreError> {
        loop {
            match self.get(id).await? {
                Some(record) if record.visibility == Visibility::Private => {
                    match self.delete_all_but_entry(&record).await {
                        Err(StoreError::Conflict) => {}
                        result => return result,
                    }
                }
                Some(_) => return Ok(()),
                None => return self.delete_items(id).await,
            }
        }
    }

    /// Deletes all definitions of an organisation, private ones too, but for their entries in the indexes of their owners. It can
    /// be repeated.
    ///
    /// # Errors
    /// If the table can't be read or written.
    pub async fn erase_organisation(&self, organisation: OrganisationId) -> Result<(), StoreError> {
        for item in self.0.query(Query::of(Index::Gsi1, organisation_pk(organisation), Sort::All)).await? {
            let mut current = self.0.get_item(&item.key).await?.as_ref().map(read).transpose()?;
            while let Some(record) = current {
                match self.delete_all_but_entry(&record).await {
                    Err(StoreError::Conflict) => current = self.get(record.id).await?,
                    result => {
                        result?;
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    /// Notes that a template names a schema of its organisation. It may be repeated.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn note_use(&self, schema: DefinitionId, template: DefinitionId) -> Result<(), StoreError> {
        #[derive(Serialize)]
        struct Nothing {}
        let item = Item::new(key(schema, &format!("{USED_BY}{template}")), VERSION, &Nothing {})?;
        self.0.put(item, Condition::Always).await
    }

    /// The templates that name a schema, `limit` at most. Notes of deleted templates are removed.
    ///
    /// # Errors
    /// If the table can't be read or written.
    pub async fn users_of(
        &self,
        schema: DefinitionId,
        limit: usize,
    ) -> Result<Vec<DefinitionRecord>, StoreError> {
        let notes = Query::partition(pk(schema), Sort::Prefix(USED_BY.to_owned()));
        let mut users = Vec::new();
        for note in self.0.query(notes).await? {
            let template = note.key.sk.strip_prefix(USED_BY).and_then(|id| id.parse().ok());
            let record = match template {
                Some(template) => self.get(template).await?.filter(|record| !record.deleted),
                None => None,
            };
            match record {
                Some(record) => users.push(record),
                None => self.0.delete(note.key).await?,
            }
            if users.len() >= limit {
                break;
            }
        }
        Ok(users)
    }

    /// Deletes the items of a definition, its record last.
    async fn delete_items(&self, id: DefinitionId) -> Result<(), StoreError> {
        let items = self.0.query(Query::partition(pk(id), Sort::All)).await?;
        for item in items.into_iter().filter(|item| item.key.sk != META) {
            self.0.delete(item.key).await?;
        }
        self.0.delete(key(id, META)).await
    }
}

/// Prefix of the sort key of a note that a template names the schema.
const USED_BY: &str = "USEDBY#";

fn unchanged(record: &DefinitionRecord) -> Condition {
    Condition::AttributeEquals("revision", record.revision.to_string())
}

fn item(record: &DefinitionRecord) -> Result<Item, StoreError> {
    let item = stored_at(key(record.id, META), record)?;
    Ok(item.in_gsi1(organisation_pk(record.organisation), record.id.to_string()))
}

/// The item of a record, or of a copy of it.
fn stored_at(key: Key, record: &DefinitionRecord) -> Result<Item, StoreError> {
    let json = serde_json::to_string(record).map_err(StoreError::unreadable)?;
    Item::new(key, VERSION, &Stored { record: json, revision: record.revision })
}

fn read(item: &Item) -> Result<DefinitionRecord, StoreError> {
    serde_json::from_str(&item.read::<Stored>()?.record).map_err(StoreError::unreadable)
}

fn pk(id: DefinitionId) -> String {
    format!("{PK_PREFIX}{id}")
}

fn key(id: DefinitionId, sk: &str) -> Key {
    Key::new(pk(id), sk)
}

/// The partition of an organisation's definitions in the first index.
fn organisation_pk(organisation: OrganisationId) -> String {
    format!("ORGDEFS#{organisation}")
}

/// The partition of the names of a kind in a scope.
fn names_pk(kind: DefinitionKind, scope: &str) -> String {
    format!("DEFS#{}#{scope}", kind.as_str())
}
