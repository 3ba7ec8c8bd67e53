//! Run records: the state and the result of each run; and the events of runs, in batches.
//!
//! Every change of a record is conditional on the run's not having ended, so a late writer can't change a terminal
//! state.
//!
//! A record is JSON in the item's bytes, beside the attributes that conditions and indexes read. An attribute for each field
//! would cost more than the rest of the write, and so would JSON in a text of JSON, which is escaped.

use std::time::Duration;

use hearth_domain::{Run, RunId, RunState, Timestamp, hex};
use hearth_wire::{RunEvent, event_batch};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{
    StoreError, Table,
    bucket::{self, Bucket},
    database::{Condition, Cursor, Index, Item, Key, META, Query, Sort, Write},
    owned::OwnedEntry,
};

mod erasure;
mod retention;
pub(crate) mod shapes;
mod summary;

pub(crate) use retention::RECORD_TTL;
use shapes::{Stored, StoredText, read_record};

/// Prefix of a run's partition key, before its id.
const PK_PREFIX: &str = "RUN#";
/// The shape of a batch of events. In version 1 each piece of a text was an entry of its own; both are read.
const BATCH_VERSION: u32 = 2;
/// Events can be read for this time.
const EVENTS_TTL: Duration = Duration::from_secs(3600);
/// The sort key of the mark of a run that another process has cancelled.
const CANCEL: &str = "CANCEL";
/// The shape of that mark.
const CANCEL_VERSION: u32 = 1;
/// The sort key of the mark of a run whose events another process follows.
const FOLLOWED: &str = "FOLLOWED";
/// The shape of that mark.
const FOLLOWED_VERSION: u32 = 1;
/// A longer text is stored in the bucket.
const INLINE_TEXT_MAX_BYTES: usize = 32 << 10;
/// Characters of the SHA-256 of a text in its object's key.
const TEXT_HASH_CHARS: usize = 32;
/// Limit of the bytes of a batch of events, which is one item. DynamoDB's limit for an item is 400 KB. A single event may
/// be larger.
const BATCH_ITEM_MAX_BYTES: usize = 256 << 10;
/// Partitions of the index of open runs.
const SHARDS: u64 = 8;

/// The records and the events of runs.
#[derive(Debug, Clone, Copy)]
pub struct Runs<'a> {
    pub(crate) table: &'a Table,
    pub(crate) bucket: &'a dyn Bucket,
    pub(crate) ttl: Duration,
}

/// The runs that haven't ended.
#[derive(Debug, Default)]
pub struct OpenRuns {
    /// Runs whose records can be read.
    pub runs: Vec<Run>,
    /// Ids of the runs whose records can't be read.
    pub unreadable: Vec<String>,
}

/// The mark of a run whose events another process follows.
#[derive(Serialize, Deserialize)]
struct Followed {
    until: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct Batch {
    /// JSON, since the crate `wire` defines the shape of an event.
    events: String,
    expires: i64,
}

impl Runs<'_> {
    /// Stores a new run. Returns when it is committed.
    ///
    /// # Errors
    /// `Conflict` if the id is taken.
    pub async fn begin(self, run: &Run) -> Result<(), StoreError> {
        let item = record(run, self.place_text(run).await?, self.ttl)?;
        // The entry first, so that each run has one.
        let entry = OwnedEntry::Run(run.id).write_for(run.owner, self.ttl)?;
        let writes = vec![entry, Write::Put(item, Condition::Absent)];
        self.table.write_in_order(writes).await
    }

    /// Replaces the record of a run that hasn't ended, at each change of its state and at its end. Returns when it is
    /// committed.
    ///
    /// # Errors
    /// `Conflict` if the stored run has ended.
    pub async fn update(self, run: &Run) -> Result<(), StoreError> {
        let item = record(run, self.place_text(run).await?, self.ttl)?;
        let open = Condition::AttributeIn("state", RunState::OPEN.map(RunState::as_str).to_vec());
        self.table.write_in_order(vec![Write::Put(item, open)]).await
    }

    /// Stores, as one write, an ended run that was never stored before, with the `events` that a reader of it needs.
    /// Returns when it is committed.
    ///
    /// # Errors
    /// `Conflict` if the id is taken.
    pub async fn record_ended(self, run: &Run, events: &[RunEvent]) -> Result<(), StoreError> {
        let record = record(run, self.place_text(run).await?, self.ttl)?;
        // The entry in the owner's index, then the events, then the record: a reader that finds the record finds them too. A
        // retry writes them again.
        let mut writes = vec![OwnedEntry::Run(run.id).write_for(run.owner, self.ttl)?];
        let batches = batch_items(run.id, events)?.into_iter();
        writes.extend(batches.map(|item| Write::Put(item, Condition::Always)));
        writes.push(Write::Put(record, Condition::Absent));
        // The head of a stream waits for its run's record, and only a whole answer's record has no events beside it.
        match events {
            [] => self.table.write_deferred(writes).await,
            _ => self.table.write_in_order(writes).await,
        }
    }

    /// Returns a run with its text, unless it has expired. If its text was deleted before the record, it is without one, and says
    /// so.
    ///
    /// # Errors
    /// If the table or the bucket can't be read.
    pub async fn get(&self, id: RunId) -> Result<Option<Run>, StoreError> {
        let Some(item) = self.table.get_item(&key(id, META)).await? else { return Ok(None) };
        let (mut run, text) = read_record(&item)?;
        if self.has_expired(&run, item.ttl) {
            return Ok(None);
        }
        run.text = match (text.text, text.text_key) {
            (Some(text), _) => text,
            (None, Some(key)) => match bucket::read_text(self.bucket, &key).await {
                Err(StoreError::Gone(_)) => {
                    run.has_expired_text = true;
                    String::new()
                }
                text => text?,
            },
            (None, None) => String::new(),
        };
        Ok(Some(run))
    }

    /// Leaves a mark that asks the process which carries out a run to cancel it. The mark of a run that has ended is without
    /// effect.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn mark_cancelled(self, id: RunId) -> Result<(), StoreError> {
        #[derive(Serialize)]
        struct Mark {
            at: Timestamp,
        }
        let at = Timestamp::now();
        let item = Item::new(key(id, CANCEL), CANCEL_VERSION, &Mark { at })?;
        self.table.put(item.expiring(at.plus(EVENTS_TTL).unix()), Condition::Always).await
    }

    /// True if a run has the mark of [`Runs::mark_cancelled`]. Costs one read unit.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn is_cancel_marked(&self, id: RunId) -> Result<bool, StoreError> {
        Ok(self.table.get_item(&key(id, CANCEL)).await?.is_some())
    }

    /// Leaves a mark for the process which carries out a run: another one follows the run's events until `until`.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn mark_followed(self, id: RunId, until: Timestamp) -> Result<(), StoreError> {
        let item = Item::new(key(id, FOLLOWED), FOLLOWED_VERSION, &Followed { until })?;
        self.table.put(item.expiring(until.plus(EVENTS_TTL).unix()), Condition::Always).await
    }

    /// Returns the time of the latest [`Runs::mark_followed`]. Costs one read unit.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn followed_until(&self, id: RunId) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.table.get::<Followed>(&key(id, FOLLOWED)).await?.map(|followed| followed.until))
    }

    /// Appends events, in order, behind the stored ones.
    ///
    /// # Errors
    /// `Conflict` if events with this seq are stored.
    pub async fn append(self, id: RunId, events: &[RunEvent]) -> Result<(), StoreError> {
        let batches = batch_items(id, events)?.into_iter();
        let writes: Vec<Write> = batches.map(|item| Write::Put(item, Condition::Absent)).collect();
        if writes.is_empty() {
            return Ok(());
        }
        self.table.write_in_order(writes).await
    }

    /// Returns all stored events after seq `after` at once, in order; [`Runs::events_page`] is for runs of any length. `after` is
    /// 0, or the last seq that an earlier call returned: the read begins at the batch behind it.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn events_after(&self, id: RunId, after: u64) -> Result<Vec<RunEvent>, StoreError> {
        let mut events = Vec::new();
        let mut query = events_query(id, after);
        loop {
            query.after = self.next_events(&query, &mut events).await?;
            if query.after.is_none() {
                return Ok(events);
            }
        }
    }

    /// Returns a page of these events: at least one if there are any, and about a megabyte at most.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn events_page(&self, id: RunId, after: u64) -> Result<Vec<RunEvent>, StoreError> {
        let mut events = Vec::new();
        let mut query = events_query(id, after);
        loop {
            query.after = self.next_events(&query, &mut events).await?;
            if !events.is_empty() || query.after.is_none() {
                return Ok(events);
            }
        }
    }

    /// Reads a page of batches into `events`. Returns the cursor of the next page.
    async fn next_events(
        &self,
        query: &Query,
        events: &mut Vec<RunEvent>,
    ) -> Result<Option<Cursor>, StoreError> {
        let page = self.table.page(query).await?;
        let now = Timestamp::now().unix();
        for item in page.items {
            let batch: Batch = item.read()?;
            // The database deletes expired items late.
            if batch.expires > now {
                events.extend(event_batch::decode(&batch.events).map_err(StoreError::unreadable)?);
            }
        }
        Ok(page.next)
    }

    /// Returns the runs that haven't ended, without their texts. A record that can't be read hides no other.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn open(&self) -> Result<OpenRuns, StoreError> {
        let mut open = OpenRuns::default();
        for state in RunState::OPEN {
            for shard in 0..SHARDS {
                let query = Query::of(Index::Gsi2, queue_key(state, shard), Sort::All);
                for item in self.table.query(query).await? {
                    match read_record(&item) {
                        Ok((run, _)) => open.runs.push(run),
                        Err(_) => open.unreadable.push(item.key.pk.trim_start_matches(PK_PREFIX).to_owned()),
                    }
                }
            }
        }
        Ok(open)
    }

    /// Writes a long text to the bucket. Returns the text, or its key there.
    ///
    /// The record's condition is checked later, and may fail: another process has ended the run, with another text. So the
    /// key has the text's hash, and no object is ever replaced by a different one. An object whose record wasn't written
    /// expires like the others.
    async fn place_text(&self, run: &Run) -> Result<StoredText, StoreError> {
        if run.text.len() <= INLINE_TEXT_MAX_BYTES {
            let text = Some(run.text.clone()).filter(|text| !text.is_empty());
            return Ok(StoredText { text, text_key: None });
        }
        let hash = hex(Sha256::digest(&run.text));
        let key = format!("runs/{}/text-{}", run.id, &hash[..TEXT_HASH_CHARS]);
        let text = run.text.clone().into_bytes();
        self.bucket.put(&key, "text/plain; charset=utf-8", text).await?;
        Ok(StoredText { text: None, text_key: Some(key) })
    }
}

/// The item of a run's record, which expires after `ttl`.
fn record(run: &Run, text: StoredText, ttl: Duration) -> Result<Item, StoreError> {
    let record = serde_json::to_vec(run).map_err(StoreError::unreadable)?;
    let StoredText { text, text_key } = text;
    let item = Item::new(key(run.id, META), shapes::VERSION, &Stored { state: run.state, text, text_key })?;
    let item = item.with_bytes(record).expiring(run.created_at.plus(ttl).unix());
    if run.state.is_terminal() {
        return Ok(item);
    }
    let shard = run.created_at.unix().unsigned_abs() % SHARDS;
    Ok(item.in_gsi2(queue_key(run.state, shard), run.id.to_string()))
}

/// The items of successive events: one for each batch.
fn batch_items(id: RunId, events: &[RunEvent]) -> Result<Vec<Item>, StoreError> {
    let expires = Timestamp::now().plus(EVENTS_TTL).unix();
    let mut items = Vec::new();
    append_batches(id, events, expires, &mut items)?;
    Ok(items)
}

/// Appends items with the events. A batch that is too large is split in halves.
fn append_batches(
    id: RunId,
    events: &[RunEvent],
    expires: i64,
    items: &mut Vec<Item>,
) -> Result<(), StoreError> {
    let Some(first) = events.first() else { return Ok(()) };
    let json = event_batch::encode(events).map_err(StoreError::unreadable)?;
    if json.len() > BATCH_ITEM_MAX_BYTES && events.len() > 1 {
        let (before, after) = events.split_at(events.len() / 2);
        append_batches(id, before, expires, items)?;
        return append_batches(id, after, expires, items);
    }
    let item = Item::new(event_key(id, first.seq), BATCH_VERSION, &Batch { events: json, expires })?;
    items.push(item.expiring(expires));
    Ok(())
}

/// The query for the batches behind the event `after`.
fn events_query(id: RunId, after: u64) -> Query {
    // "~" sorts behind every digit.
    Query::partition(pk(id), Sort::Between(event_key(id, after + 1).sk, "E#~".to_owned()))
}

fn pk(id: RunId) -> String {
    format!("{PK_PREFIX}{id}")
}

fn key(id: RunId, sk: &str) -> Key {
    Key::new(pk(id), sk)
}

fn event_key(id: RunId, seq: u64) -> Key {
    key(id, &format!("E#{seq:012}"))
}

fn queue_key(state: RunState, shard: u64) -> String {
    format!("Q#{}#{shard}", state.as_str())
}
