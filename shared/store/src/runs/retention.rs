//! The time for which records are stored.

use std::time::Duration;

use hearth_domain::{Run, Timestamp};

use super::Runs;
use crate::Store;

/// Time after which a record is deleted, unless [`Store::with_record_ttl`](crate::Store::with_record_ttl) has set another one.
/// Long texts are objects, which the bucket deletes after this time.
pub(crate) const RECORD_TTL: Duration = Duration::from_secs(30 * 24 * 3600);

impl Store {
    /// Sets the time for which a run's record, request and conversation are stored.
    #[must_use]
    pub fn with_record_ttl(self, record_ttl: Duration) -> Self {
        Self { record_ttl, ..self }
    }
}

impl Runs<'_> {
    /// True if a record has expired. The database deletes expired items late; and after the operator has shortened the time of
    /// records, the earlier ones have a later ttl.
    pub(super) fn has_expired(self, run: &Run, ttl: Option<i64>) -> bool {
        let now = Timestamp::now();
        ttl.is_some_and(|ttl| ttl <= now.unix()) || run.created_at.plus(self.ttl) <= now
    }
}
