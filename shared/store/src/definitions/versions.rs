//! The versions of a definition, which never change.

use hearth_domain::{DefinitionId, SemanticVersion, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Definitions, VERSION, key, pk};
use crate::{
    StoreError,
    database::{Condition, Cursor, Item, Query, Sort, Write},
};

/// Prefix of the sort key of a version, before its number.
const NUMBER: &str = "V#";
/// Prefix of the sort key of its content.
const CONTENT: &str = "C#";
/// Largest part of a number in a key.
const PART_MAX: u32 = 999_999;

/// A version, without its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DefinitionVersion {
    /// Its number.
    pub version: SemanticVersion,
    /// The author's note.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The id of the credential, or the user, that has stored it.
    pub author: String,
    /// SHA-256 of its content.
    pub sha256: String,
    /// When it was stored.
    pub created_at: Timestamp,
}

/// A content as it is stored.
#[derive(Serialize, Deserialize)]
struct StoredContent {
    /// JSON.
    content: String,
}

impl Definitions<'_> {
    /// A version.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn version(
        &self,
        id: DefinitionId,
        version: SemanticVersion,
    ) -> Result<Option<DefinitionVersion>, StoreError> {
        self.0.get(&key(id, &number_sk(version))).await
    }

    /// The content of a version, as JSON.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn content(
        &self,
        id: DefinitionId,
        version: SemanticVersion,
    ) -> Result<Option<String>, StoreError> {
        let stored = self.0.get::<StoredContent>(&key(id, &content_sk(version))).await?;
        Ok(stored.map(|stored| stored.content))
    }

    /// The number of the latest version with this major number, and this minor number if there is one.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn latest_within(
        &self,
        id: DefinitionId,
        major: u32,
        minor: Option<u32>,
    ) -> Result<Option<SemanticVersion>, StoreError> {
        let first = SemanticVersion { major, minor: minor.unwrap_or(0), patch: 0 };
        let last = SemanticVersion { major, minor: minor.unwrap_or(PART_MAX), patch: PART_MAX };
        let range = Sort::Between(number_sk(first), number_sk(last));
        let query = Query { limit: Some(1), ..Query::partition(pk(id), range).descending() };
        let page = self.0.page(&query).await?;
        page.items.first().map(|item| Ok(item.read::<DefinitionVersion>()?.version)).transpose()
    }

    /// A page of the versions older than `before`, the latest first, and whether more follow.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn versions(
        &self,
        id: DefinitionId,
        before: Option<SemanticVersion>,
        limit: u32,
    ) -> Result<(Vec<DefinitionVersion>, bool), StoreError> {
        let mut query = Query::partition(pk(id), Sort::Prefix(NUMBER.to_owned())).descending();
        query.limit = Some(limit);
        query.after = before.map(|before| Cursor { key: key(id, &number_sk(before)), index: None });
        let page = self.0.page(&query).await?;
        let versions: Vec<_> = page.items.iter().map(Item::read).collect::<Result<_, _>>()?;
        Ok((versions, page.next.is_some()))
    }
}

/// The writes of a new version.
pub(super) fn puts(
    id: DefinitionId,
    version: &DefinitionVersion,
    content: &str,
) -> Result<[Write; 2], StoreError> {
    let number = Item::new(key(id, &number_sk(version.version)), VERSION, version)?;
    let stored = StoredContent { content: content.to_owned() };
    let content = Item::new(key(id, &content_sk(version.version)), VERSION, &stored)?;
    Ok([Write::Put(number, Condition::Absent), Write::Put(content, Condition::Absent)])
}

fn number_sk(version: SemanticVersion) -> String {
    format!("{NUMBER}{}", sort_text(version))
}

fn content_sk(version: SemanticVersion) -> String {
    format!("{CONTENT}{}", sort_text(version))
}

/// The number as a text that sorts as numbers do.
fn sort_text(SemanticVersion { major, minor, patch }: SemanticVersion) -> String {
    format!("{major:06}.{minor:06}.{patch:06}")
}
