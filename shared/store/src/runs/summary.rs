//! Records without their texts, for lists of runs.

use futures::{StreamExt as _, TryStreamExt as _, stream};
use hearth_domain::{Run, RunId};

use super::{Runs, key, read_record};
use crate::{StoreError, database::META};

/// Reads at the same time.
const CONCURRENT_READS: usize = 16;

impl Runs<'_> {
    /// The records of runs in the order of `ids`, without their texts. A run without a record, with an expired one, or with one
    /// that can't be read, is left out.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn summaries(self, ids: &[RunId]) -> Result<Vec<Run>, StoreError> {
        let reads = stream::iter(ids.iter().copied()).map(|id| self.summary(id));
        let runs: Vec<Option<Run>> = reads.buffered(CONCURRENT_READS).try_collect().await?;
        Ok(runs.into_iter().flatten().collect())
    }

    async fn summary(self, id: RunId) -> Result<Option<Run>, StoreError> {
        let Some(item) = self.table.get_item(&key(id, META)).await? else { return Ok(None) };
        match read_record(&item) {
            Ok((run, _)) => Ok(Some(run).filter(|run| !self.has_expired(run, item.ttl))),
            Err(error) => {
                tracing::warn!(run = %id, %error, "a run's record can't be read");
                Ok(None)
            }
        }
    }
}
