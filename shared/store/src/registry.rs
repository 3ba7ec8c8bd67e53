//! The registry: an organisation's explicit entries for models, and the schemas of their parameters.
//!
//! The entries and the current schemas of an organisation lie in one partition, so that a process reads them by one query. A
//! version of a schema is never changed.

use hearth_domain::{OrganisationId, Timestamp};
use hearth_wire::native::{hub::ModelCard, registry::ModelRegistration};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    StoreError, Table,
    database::{Condition, Item, Key, Query, Sort, Write},
};

/// The version of the items' shape.
const VERSION: u32 = 1;
const ENTRY_PREFIX: &str = "MODEL#";
const SCHEMA_PREFIX: &str = "SCHEMA#";

/// The registry of an organisation.
#[derive(Debug, Clone, Copy)]
pub struct Registry<'a> {
    pub(crate) table: &'a Table,
    pub(crate) organisation: OrganisationId,
}

/// An explicit entry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RegistryEntry {
    /// The entry, as it was registered.
    pub registration: ModelRegistration,
    /// The model of a node that has the file at the entry's path.
    #[serde(default)]
    pub file_model: Option<String>,
    /// The model's card at Hugging Face, as it was at the registration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<Box<ModelCard>>,
    /// Changes with each write, for conditions.
    pub revision: String,
    /// The id of the credential, or the user, that wrote it last.
    pub author: String,
    /// The time of its registration.
    pub created_at: Timestamp,
    /// The time of its last change.
    pub updated_at: Timestamp,
}

/// A version of the schema of a model's parameters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SchemaVersion {
    /// The model's id.
    pub model: String,
    /// Its number as text, from 1 without gaps.
    pub number: String,
    /// The schema; none if the one that is built from the metadata applies again.
    pub schema: Option<Value>,
    /// Guidance for users.
    #[serde(default)]
    pub guidance: Vec<String>,
    /// The id of the credential, or the user, that stored it.
    pub author: String,
    /// The author's note.
    #[serde(default)]
    pub message: Option<String>,
    /// The time at which it was stored.
    pub created_at: Timestamp,
}

impl SchemaVersion {
    /// The version's number.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.number.parse().unwrap_or_default()
    }
}

/// The entries and the current schemas of an organisation.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RegistryContent {
    /// Explicit entries, by id.
    pub entries: Vec<RegistryEntry>,
    /// The current version of each model's schema.
    pub schemas: Vec<SchemaVersion>,
}

impl Registry<'_> {
    /// The entries and the current schemas. Those that this program can't read are left out, with a warning.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn content(&self) -> Result<RegistryContent, StoreError> {
        let items = self.table.query(Query::partition(self.partition(), Sort::All)).await?;
        let mut content = RegistryContent::default();
        for item in &items {
            let result = if item.key.sk.starts_with(ENTRY_PREFIX) {
                read(item).map(|entry| content.entries.push(entry))
            } else {
                read(item).map(|schema| content.schemas.push(schema))
            };
            if let Err(error) = result {
                tracing::warn!(key = item.key.sk, %error, "an item of the registry can't be read; it is left out");
            }
        }
        Ok(content)
    }

    /// One entry.
    ///
    /// # Errors
    /// If the table or the item can't be read.
    pub async fn entry(&self, id: &str) -> Result<Option<RegistryEntry>, StoreError> {
        self.table.get_item(&self.entry_key(id)).await?.as_ref().map(read).transpose()
    }

    /// Stores a new entry.
    ///
    /// # Errors
    /// `Conflict` if there is one with its id.
    pub async fn insert(&self, entry: &RegistryEntry) -> Result<(), StoreError> {
        let item = Item::new(self.entry_key(&entry.registration.id), VERSION, entry)?;
        self.table.put(item, Condition::Absent).await
    }

    /// Replaces an entry.
    ///
    /// # Errors
    /// `Conflict` if its revision isn't `revision` any more.
    pub async fn replace(&self, entry: &RegistryEntry, revision: &str) -> Result<(), StoreError> {
        let item = Item::new(self.entry_key(&entry.registration.id), VERSION, entry)?;
        self.table.put(item, Condition::AttributeEquals("revision", revision.to_owned())).await
    }

    /// Deletes an entry.
    ///
    /// # Errors
    /// `Conflict` if there is none.
    pub async fn delete(&self, id: &str) -> Result<(), StoreError> {
        self.table.transact(vec![Write::Delete(self.entry_key(id), Condition::Exists)]).await
    }

    /// A version of a model's schema.
    ///
    /// # Errors
    /// If the table or the item can't be read.
    pub async fn schema_version(
        &self,
        model: &str,
        number: u32,
    ) -> Result<Option<SchemaVersion>, StoreError> {
        self.table.get_item(&self.version_key(model, number)).await?.as_ref().map(read).transpose()
    }

    /// The current version of a model's schema.
    ///
    /// # Errors
    /// If the table or the item can't be read.
    pub async fn current_schema(&self, model: &str) -> Result<Option<SchemaVersion>, StoreError> {
        self.table.get_item(&self.schema_key(model)).await?.as_ref().map(read).transpose()
    }

    /// The latest versions of a model's schema, the newest first, at most `max_count`.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn latest_schemas(
        &self,
        model: &str,
        max_count: u32,
    ) -> Result<Vec<SchemaVersion>, StoreError> {
        let mut query = Query::partition(self.version_partition(model), Sort::All).descending();
        let mut versions = Vec::new();
        loop {
            let left = usize::try_from(max_count).unwrap_or(usize::MAX).saturating_sub(versions.len());
            query.limit = u32::try_from(left).ok();
            let page = self.table.page(&query).await?;
            versions.extend(page.items.iter().filter_map(|item| read(item).ok()));
            if page.next.is_none() || page.items.len() >= left {
                return Ok(versions);
            }
            query.after = page.next;
        }
    }

    /// Stores the version that follows the current one, and makes it the current one.
    ///
    /// # Errors
    /// `Conflict` if the current version isn't the one before it.
    pub async fn push_schema(&self, version: &SchemaVersion) -> Result<(), StoreError> {
        let number = version.version();
        let condition = match number {
            0 | 1 => Condition::Absent,
            number => Condition::AttributeEquals("number", (number - 1).to_string()),
        };
        let current = Item::new(self.schema_key(&version.model), VERSION, version)?;
        let numbered = Item::new(self.version_key(&version.model, number), VERSION, version)?;
        let writes = vec![Write::Put(current, condition), Write::Put(numbered, Condition::Absent)];
        self.table.transact(writes).await
    }

    /// Deletes all entries and schemas, with every version. It can be repeated.
    ///
    /// # Errors
    /// If the table can't be read or written.
    pub async fn erase(&self) -> Result<(), StoreError> {
        for item in self.table.query(Query::partition(self.partition(), Sort::All)).await? {
            // The versions first: the item is what leads to them.
            if let Some(model) = item.key.sk.strip_prefix(SCHEMA_PREFIX) {
                let versions = Query::partition(self.version_partition(model), Sort::All);
                for version in self.table.query(versions).await? {
                    self.table.delete(version.key).await?;
                }
            }
            self.table.delete(item.key).await?;
        }
        Ok(())
    }

    fn partition(&self) -> String {
        format!("REGISTRY#{}", self.organisation)
    }

    fn entry_key(&self, id: &str) -> Key {
        Key::new(self.partition(), format!("{ENTRY_PREFIX}{id}"))
    }

    fn schema_key(&self, model: &str) -> Key {
        Key::new(self.partition(), format!("{SCHEMA_PREFIX}{model}"))
    }

    fn version_partition(&self, model: &str) -> String {
        format!("MODELSCHEMA#{}#{model}", self.organisation)
    }

    fn version_key(&self, model: &str, number: u32) -> Key {
        Key::new(self.version_partition(model), format!("V#{number:08}"))
    }
}

/// Reads an item of this shape or an earlier one.
fn read<T: for<'de> Deserialize<'de>>(item: &Item) -> Result<T, StoreError> {
    if item.version > VERSION {
        return Err(StoreError::Unreadable(format!(
            "its shape is version {}, and this program reads up to {VERSION}",
            item.version
        )));
    }
    item.read()
}
