//! The places of turns that wait for a session's lease, in the order of their runs.
//!
//! A place ends unless it is renewed, so that a turn whose process has died holds up no other for long.

use std::time::Duration;

use hearth_domain::{RevisionId, RunId, SessionId, Timestamp};
use serde::{Deserialize, Serialize};

use super::{LeaseRequest, Sessions, key, pk};
use crate::{
    StoreError,
    database::{Condition, Item, Key, Query, Sort},
};

const VERSION: u32 = 1;
/// Prefix of a place's sort key, before the run.
const PLACE: &str = "WAIT#";
/// The database deletes a place this long after its end.
const PLACE_GRACE: Duration = Duration::from_secs(3600);

#[derive(Serialize, Deserialize)]
struct Stored {
    run: RunId,
    process: RevisionId,
    until: Timestamp,
}

impl Sessions<'_> {
    /// Takes a place in the line for the session's lease, or renews it.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn put_place(&self, id: SessionId, request: &LeaseRequest) -> Result<(), StoreError> {
        let until = Timestamp::now().plus(request.ttl);
        let stored = Stored { run: request.run, process: request.process, until };
        let item = Item::new(place_key(id, request.run), VERSION, &stored)?;
        self.table.put(item.expiring(until.plus(PLACE_GRACE).unix()), Condition::Always).await
    }

    /// Leaves the line.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn delete_place(&self, id: SessionId, run: RunId) -> Result<(), StoreError> {
        self.table.delete(place_key(id, run)).await
    }

    /// The first turn in the line before this one, and the end of its place.
    pub(super) async fn earlier_place(
        &self,
        id: SessionId,
        request: &LeaseRequest,
    ) -> Result<Option<(RunId, Timestamp)>, StoreError> {
        let items = self.table.query(Query::partition(pk(id), Sort::Prefix(PLACE.to_owned()))).await?;
        let now = Timestamp::now();
        for item in items {
            let place: Stored = item.read()?;
            let is_alive =
                place.until > now && !(request.is_sole_process && place.process != request.process);
            if is_alive && place.run < request.run {
                return Ok(Some((place.run, place.until)));
            }
        }
        Ok(None)
    }
}

fn place_key(id: SessionId, run: RunId) -> Key {
    key(id, &format!("{PLACE}{run}"))
}
