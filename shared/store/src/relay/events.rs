//! The events of a run, as its node posts them.

use std::time::Duration;

use hearth_domain::{NodeId, RunId, Timestamp};
use hearth_wire::{RunEvent, event_batch};
use serde::{Deserialize, Serialize};

use super::{RelayItems, run_pk};
use crate::{
    StoreError,
    database::{Condition, Item, Key, Query, Sort},
};

const VERSION: u32 = 1;
/// Events can be read for this time.
const EVENTS_TTL: Duration = Duration::from_secs(2 * 3600);
/// Limit of the bytes of a batch in one item, approximately. DynamoDB's limit for an item is 400 KB.
const ITEM_MAX_BYTES: usize = 256 << 10;

/// A stored batch.
#[derive(Debug, Clone, PartialEq)]
pub struct RelayBatch {
    /// Its events: at least one.
    pub events: Vec<RunEvent>,
    /// Milliseconds since 1970 at which it was stored.
    pub stored_ms: i64,
    /// Bytes of all events up to its end.
    pub total_bytes: u64,
}

impl RelayBatch {
    /// The seq of its last event.
    #[must_use]
    pub fn last_seq(&self) -> u64 {
        self.events.last().map_or(0, |event| event.seq)
    }

    /// True if it ends with the run's terminal event.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        self.events.last().is_some_and(|event| event.body.is_terminal())
    }
}

#[derive(Serialize, Deserialize)]
struct Fields {
    /// JSON, since the crate `wire` defines the shape of an event.
    events: String,
    at: i64,
    bytes: u64,
}

impl RelayItems<'_> {
    /// The batches of the claim `fence` that end at the seq `last_from` or later, in order; about a megabyte at most. True if
    /// there are more.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn batches(
        &self,
        node: NodeId,
        run: RunId,
        fence: u64,
        last_from: u64,
    ) -> Result<(Vec<RelayBatch>, bool), StoreError> {
        // "~" sorts behind every digit.
        let range = Sort::Between(sort_key(fence, last_from), format!("{}~", prefix(fence)));
        let page = self.table.page(&Query::partition(run_pk(node, run), range)).await?;
        let batches: Result<Vec<RelayBatch>, StoreError> = page.items.iter().map(read).collect();
        Ok((batches?, page.next.is_some()))
    }

    /// Appends events under the claim `fence`. The batch before their first one must be stored. Events that are stored already
    /// may be written again: a reader skips them.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn append_batch(
        &self,
        node: NodeId,
        run: RunId,
        fence: u64,
        events: &[RunEvent],
        bytes_before: u64,
    ) -> Result<(), StoreError> {
        let Some(last) = events.last() else { return Ok(()) };
        let json = event_batch::encode(events).map_err(StoreError::unreadable)?;
        if json.len() > ITEM_MAX_BYTES && events.len() > 1 {
            let (first, second) = events.split_at(events.len() / 2);
            Box::pin(self.append_batch(node, run, fence, first, bytes_before)).await?;
            let bytes_before =
                bytes_before + first.iter().map(|event| event.json_bytes() as u64).sum::<u64>();
            return Box::pin(self.append_batch(node, run, fence, second, bytes_before)).await;
        }
        let now = Timestamp::now();
        let bytes = bytes_before + json.len() as u64;
        let fields = Fields { events: json, at: millis(now), bytes };
        let key = Key::new(run_pk(node, run), sort_key(fence, last.seq));
        let item = Item::new(key, VERSION, &fields)?.expiring(now.plus(EVENTS_TTL).unix());
        match self.table.put(item, Condition::Absent).await {
            // It is stored already.
            Err(StoreError::Conflict) => Ok(()),
            result => result,
        }
    }
}

fn read(item: &Item) -> Result<RelayBatch, StoreError> {
    let Fields { events, at, bytes } = item.read()?;
    let events = event_batch::decode(&events).map_err(StoreError::unreadable)?;
    Ok(RelayBatch { events, stored_ms: at, total_bytes: bytes })
}

fn millis(at: Timestamp) -> i64 {
    i64::try_from(at.unix_millis()).unwrap_or(i64::MAX)
}

fn prefix(fence: u64) -> String {
    format!("E#{fence:06}#")
}

fn sort_key(fence: u64, last_seq: u64) -> String {
    format!("{}{last_seq:012}", prefix(fence))
}
