//! Deletes everything of a run: its record, its events, its request, its conversation and their objects; and its files.

use futures::{StreamExt as _, TryStreamExt as _, stream};
use hearth_domain::{Run, RunId, RunState};

use super::{Runs, key, pk, read_record};
use crate::{
    Store, StoreError, conversations,
    database::{Item, Key, META, Query, Sort},
    owned::OwnedEntry,
    run_requests,
};

/// Deletions at the same time.
const CONCURRENT_DELETIONS: usize = 8;

impl Runs<'_> {
    /// The state of a run; none if there is no record, or none that can be read.
    pub(crate) async fn state(self, id: RunId) -> Result<Option<RunState>, StoreError> {
        let item = self.table.get_item(&key(id, META)).await?;
        Ok(item.and_then(|item| read_record(&item).ok()).map(|(run, _)| run.state))
    }

    /// Deletes everything of a run. The objects first, and the record last, so that a deletion that was interrupted can be
    /// repeated.
    pub(crate) async fn erase(self, id: RunId) -> Result<(), StoreError> {
        let items = self.table.query(Query::partition(pk(id), Sort::All)).await?;
        for object in items.iter().filter_map(object_of) {
            self.bucket.delete(&object).await?;
        }
        for request in items.iter().filter(|item| item.key.sk == run_requests::REQUEST) {
            run_requests::erase(self.table, request).await?;
        }
        let (last, first): (Vec<Key>, Vec<Key>) =
            items.into_iter().map(|item| item.key).partition(|key| key.sk == META);
        let delete = |key| self.table.delete(key);
        stream::iter(first).map(delete).buffer_unordered(CONCURRENT_DELETIONS).try_collect::<()>().await?;
        for key in last {
            self.table.delete(key).await?;
        }
        Ok(())
    }
}

impl Store {
    /// Deletes a run that has ended: its files, its events, its request, its conversation and its record, and then their entries
    /// in the owner's index. A deletion that was interrupted can be repeated; and it is repeated after a while, for the writes that
    /// come behind a run's end: its conversation, and a whole record whose write is tried again.
    ///
    /// # Errors
    /// If the table or the bucket can't be written.
    pub async fn delete_run(&self, run: &Run) -> Result<(), StoreError> {
        for artifact in &run.artifacts {
            // A file that another run, or its owner, has put there is none of this run's.
            let record = self.artifacts().get(artifact.id).await?;
            if record.is_some_and(|record| record.run == run.id && record.owner() == run.owner()) {
                self.artifacts().erase(artifact.id).await?;
                self.table.delete(OwnedEntry::Artifact(artifact.id).key(run.owner)).await?;
            }
        }
        self.runs().erase(run.id).await?;
        self.table.delete(OwnedEntry::Run(run.id).key(run.owner)).await
    }
}

/// The object that an item of a run names.
fn object_of(item: &Item) -> Option<String> {
    match item.key.sk.as_str() {
        META => read_record(item).ok()?.1.text_key,
        conversations::CONVERSATION => conversations::object_of(item),
        run_requests::REQUEST => run_requests::object_of(item),
        _ => None,
    }
}
