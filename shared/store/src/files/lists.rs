//! Lists of files and uploads: those of an owner, and those that end.

use hearth_domain::{FileId, FileState, Owner, Timestamp};

use super::{FileRecord, Files, key};
use crate::{
    StoreError,
    database::{Cursor, Index, Item, Key, Query, Sort},
};

/// The partition of the files that end, in the second index.
pub(super) const ENDS: &str = "FILEENDS";

impl Files<'_> {
    /// A page of the owner's stored files behind the one `after`, in the order of their uploads, or against it; and whether more
    /// follow. The page may have fewer than `limit`.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn page(
        &self,
        owner: Owner,
        newest_first: bool,
        after: Option<FileId>,
        limit: u32,
    ) -> Result<(Vec<FileRecord>, bool), StoreError> {
        self.page_of(of_stored(owner), newest_first, after, limit).await
    }

    /// A page of the owner's uploads that aren't completed behind the one `after`, the newest first; and whether more follow. The
    /// page may have fewer than `limit`.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn uploads_page(
        &self,
        owner: Owner,
        after: Option<FileId>,
        limit: u32,
    ) -> Result<(Vec<FileRecord>, bool), StoreError> {
        self.page_of(of_uploads(owner), true, after, limit).await
    }

    async fn page_of(
        &self,
        list: String,
        newest_first: bool,
        after: Option<FileId>,
        limit: u32,
    ) -> Result<(Vec<FileRecord>, bool), StoreError> {
        let query = Query { limit: Some(limit), ..Query::of(Index::Gsi1, &list, Sort::All) };
        let mut query = if newest_first { query.descending() } else { query };
        query.after = after.map(|id| Cursor { key: key(id), index: Some(Key::new(list, id.to_string())) });
        let page = self.0.table.page(&query).await?;
        let records = page.items.iter().map(Item::read).collect::<Result<Vec<FileRecord>, _>>()?;
        Ok((records, page.next.is_some()))
    }

    /// Files and uploads that have ended at `now`, the oldest end first, at most `limit`.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn ended(&self, now: Timestamp, limit: u32) -> Result<Vec<FileRecord>, StoreError> {
        let until = Sort::Between(Timestamp::from_unix(0).to_string(), now.to_string());
        let query = Query { limit: Some(limit), ..Query::of(Index::Gsi2, ENDS, until) };
        let page = self.0.table.page(&query).await?;
        let read = |item: &Item| match item.read() {
            Ok(record) => Some(record),
            // It must not keep the others.
            Err(error) => {
                tracing::error!(key = item.key.pk, %error, "a file's record can't be read, and the file isn't deleted");
                None
            }
        };
        Ok(page.items.iter().filter_map(read).collect())
    }

    /// Uploads of all users that aren't completed and end up to `until`, behind the page's place `after`, at most `limit`; and the
    /// place of the next page, if more follow.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn uploads_that_end(
        &self,
        until: Timestamp,
        after: Option<Cursor>,
        limit: u32,
    ) -> Result<(Vec<FileRecord>, Option<Cursor>), StoreError> {
        let until = Sort::Between(Timestamp::from_unix(0).to_string(), until.to_string());
        let query = Query { limit: Some(limit), after, ..Query::of(Index::Gsi2, ENDS, until) };
        let page = self.0.table.page(&query).await?;
        let records = page.items.iter().filter_map(|item| item.read::<FileRecord>().ok());
        let uploads = records.filter(|record| record.state == FileState::Uploading);
        Ok((uploads.collect(), page.next))
    }
}

/// The partition of a record in the first index, if it is in a list of its owner's.
pub(super) fn of(record: &FileRecord) -> Option<String> {
    match record.state {
        FileState::Uploading => Some(of_uploads(record.owner())),
        FileState::Stored => Some(of_stored(record.owner())),
        FileState::Deleted => None,
    }
}

fn of_stored(owner: Owner) -> String {
    format!("FILES#{}#{}", owner.user, owner.organisation)
}

fn of_uploads(owner: Owner) -> String {
    format!("UPLOADS#{}#{}", owner.user, owner.organisation)
}
