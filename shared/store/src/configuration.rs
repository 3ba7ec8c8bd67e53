//! The operator's configuration: its current version, and the versions before it.

use std::cmp::Reverse;

use hearth_domain::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    StoreError, Table,
    database::{Condition, Item, Key, META, Query, Sort, Write},
};

/// The version of the items' shape.
const VERSION: u32 = 1;
/// Versions that are stored, the current one among them.
pub const VERSION_MAX_COUNT: u64 = 50;

/// The operator's configuration.
#[derive(Debug, Clone, Copy)]
pub struct Configurations<'a>(pub(crate) &'a Table);

/// A version of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigurationVersion {
    /// Its number, from 1 without gaps.
    #[serde(with = "as_text")]
    pub number: u64,
    /// The settings, a JSON object.
    pub settings: String,
    /// The id of the credential, or the user, that stored it.
    pub author: String,
    /// When it was stored.
    pub created_at: Timestamp,
    /// The author's note.
    #[serde(default)]
    pub message: Option<String>,
    /// The earlier version that it is a copy of, if it restores one.
    #[serde(default)]
    pub restores: Option<u64>,
}

/// The current version. Its number can be read even if the rest can't, so that a valid version can follow it.
#[derive(Debug, Clone)]
pub struct CurrentConfiguration {
    /// Its number.
    pub number: u64,
    /// The version, or the reason why this program can't read it.
    pub version: Result<ConfigurationVersion, StoreError>,
}

impl Configurations<'_> {
    /// The current version; `None` before the first.
    ///
    /// # Errors
    /// If the table can't be read, or the item has no number.
    pub async fn current(&self) -> Result<Option<CurrentConfiguration>, StoreError> {
        #[derive(Deserialize)]
        struct Number {
            #[serde(with = "as_text")]
            number: u64,
        }
        let Some(item) = self.0.get_item(&current_key()).await? else { return Ok(None) };
        let Number { number } = item.read()?;
        Ok(Some(CurrentConfiguration { number, version: read(&item) }))
    }

    /// A version that is still stored, and not above the current one.
    ///
    /// # Errors
    /// If the table or the item can't be read.
    pub async fn version(&self, number: u64) -> Result<Option<ConfigurationVersion>, StoreError> {
        let version = self.0.get_item(&version_key(number)).await?.as_ref().map(read).transpose()?;
        let Some(version) = version.filter(|version| version.number == number) else { return Ok(None) };
        Ok((number <= self.newest().await?).then_some(version))
    }

    /// The number of the current version; no bound if the current version has none that can be read.
    async fn newest(&self) -> Result<u64, StoreError> {
        match self.current().await {
            Ok(current) => Ok(current.map_or(0, |current| current.number)),
            Err(StoreError::Unreadable(_)) => Ok(u64::MAX),
            Err(error) => Err(error),
        }
    }

    /// The stored versions, newest first. Those that this program can't read are left out, and so are those above the current
    /// one: a restored backup may have brought back an earlier current version.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn versions(&self) -> Result<Vec<ConfigurationVersion>, StoreError> {
        let newest = self.newest().await?;
        let query = Query::partition(PARTITION, Sort::Prefix(VERSION_PREFIX.to_owned()));
        let items = self.0.query(query).await?;
        let mut versions: Vec<_> = items.iter().filter_map(|item| read(item).ok()).collect();
        versions.retain(|version| version.number <= newest);
        versions.sort_by_key(|version| Reverse(version.number));
        Ok(versions)
    }

    /// Stores the version that follows the current one, in the place of the oldest one.
    ///
    /// # Errors
    /// `Conflict` if the current version isn't the one before it.
    pub async fn push(&self, version: &ConfigurationVersion) -> Result<(), StoreError> {
        let condition = match version.number {
            0 | 1 => Condition::Absent,
            number => Condition::AttributeEquals("number", (number - 1).to_string()),
        };
        let current = Item::new(current_key(), VERSION, version)?;
        let numbered = Item::new(version_key(version.number), VERSION, version)?;
        let writes = vec![Write::Put(current, condition), Write::Put(numbered, Condition::Always)];
        self.0.transact(writes).await
    }
}

pub(crate) const PARTITION: &str = "CONFIG";
const VERSION_PREFIX: &str = "V#";

pub(crate) fn current_key() -> Key {
    Key::new(PARTITION, META)
}

/// The place of a version: one of as many as there are stored versions.
fn version_key(number: u64) -> Key {
    Key::new(PARTITION, format!("{VERSION_PREFIX}{:02}", number % VERSION_MAX_COUNT))
}

/// Reads an item of this shape or an earlier one.
fn read(item: &Item) -> Result<ConfigurationVersion, StoreError> {
    if item.version > VERSION {
        return Err(StoreError::Unreadable(format!(
            "its shape is version {}, and this program reads up to {VERSION}",
            item.version
        )));
    }
    item.read()
}

/// A number as text, which a condition can compare.
mod as_text {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    pub(super) fn serialize<S: Serializer>(number: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(number)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}
