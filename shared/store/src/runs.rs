//! Runs: their records, and their events in batches.
//!
//! Every change of a record is conditional on the run's not having ended, so a terminal state is
//! final whoever comes late.
//!
//! A record is one attribute of JSON beside those that conditions and indexes look at: a field of its own for
//! each would cost more than all the rest of writing it down.

use std::time::Duration;

use hearth_domain::{Run, RunId, RunState, Timestamp};
use hearth_wire::{RunEvent, event_batch};
use serde::{Deserialize, Serialize};

use crate::{
    StoreError, Table,
    bucket::{self, Bucket},
    database::{Condition, Cursor, Index, Item, Key, META, Query, Sort, Write},
};

/// The shape of a record. In version 1 each of the run's fields was an attribute.
const VERSION: u32 = 2;
/// The shape of a batch of events. In version 1 each piece of a text was an entry of its own; those are read too.
const BATCH_VERSION: u32 = 2;
/// Events can be read this long.
const EVENTS_TTL: Duration = Duration::from_secs(3600);
/// A text of more bytes goes to the bucket.
const INLINE_TEXT_MAX_BYTES: usize = 32 << 10;
/// Bytes of events in one item, which takes at most 400 KB. A single event may be larger.
const BATCH_MAX_BYTES: usize = 256 << 10;
/// The index of runs that haven't ended is spread over so many partitions.
const SHARDS: u64 = 8;

/// The runs.
#[derive(Debug, Clone, Copy)]
pub struct Runs<'a> {
    pub(crate) table: &'a Table,
    pub(crate) bucket: &'a dyn Bucket,
}

/// A run's record as stored: its text is beside it, or in the bucket.
#[derive(Serialize, Deserialize)]
struct Stored {
    /// JSON.
    record: String,
    /// Again, for conditions.
    state: RunState,
    #[serde(flatten)]
    text: StoredText,
}

/// Where a run's text is, if it has one.
#[derive(Default, Serialize, Deserialize)]
struct StoredText {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text_key: Option<String>,
}

/// A record of version 1.
#[derive(Deserialize)]
struct StoredV1 {
    #[serde(flatten)]
    run: Run,
    #[serde(flatten)]
    text: StoredText,
}

#[derive(Serialize, Deserialize)]
struct Batch {
    /// JSON, so that an event's shape is the wire's business alone.
    events: String,
    expires: i64,
}

impl Runs<'_> {
    /// Stores a new run; returns when that is committed.
    ///
    /// # Errors
    /// `Conflict` if the id is taken.
    pub async fn begin(self, run: &Run) -> Result<(), StoreError> {
        let item = record(run, self.place_text(run).await?)?;
        self.table.put(item, Condition::Absent).await
    }

    /// Stores what has changed of a run that hasn't ended, its end included; returns when that is committed.
    ///
    /// # Errors
    /// `Conflict` if it has ended.
    pub async fn end(self, run: &Run) -> Result<(), StoreError> {
        let item = record(run, self.place_text(run).await?)?;
        let open = Condition::AttributeIn("state", RunState::OPEN.map(RunState::as_str).to_vec());
        self.table.write_in_order(vec![Write::Put(item, open)]).await
    }

    /// Stores a run that has ended and was never stored before, with those of its `events` that a reader needs, as
    /// one write; returns when that is committed.
    ///
    /// # Errors
    /// `Conflict` if the id is taken.
    pub async fn record_ended(self, run: &Run, events: &[RunEvent]) -> Result<(), StoreError> {
        let record = record(run, self.place_text(run).await?)?;
        // Events first: whoever finds the record finds them. They are the same when this is tried again.
        let batches = batches(run.id, events)?.into_iter();
        let mut writes: Vec<Write> = batches.map(|item| Write::Put(item, Condition::Always)).collect();
        writes.push(Write::Put(record, Condition::Absent));
        self.table.write_in_order(writes).await
    }

    /// A run.
    ///
    /// # Errors
    /// If the table or the bucket can't be read.
    pub async fn get(&self, id: RunId) -> Result<Option<Run>, StoreError> {
        let Some(item) = self.table.get_item(&key(id, META)).await? else { return Ok(None) };
        let (mut run, text) = read_record(&item)?;
        run.text = match (text.text, text.text_key) {
            (Some(text), _) => text,
            (None, Some(key)) => bucket::read_text(self.bucket, &key).await?,
            (None, None) => String::new(),
        };
        Ok(Some(run))
    }

    /// Appends events, which are in order and follow those stored before.
    ///
    /// # Errors
    /// `Conflict` if there are events with this seq.
    pub async fn append(self, id: RunId, events: &[RunEvent]) -> Result<(), StoreError> {
        let batches = batches(id, events)?.into_iter();
        let writes: Vec<Write> = batches.map(|item| Write::Put(item, Condition::Absent)).collect();
        if writes.is_empty() {
            return Ok(());
        }
        self.table.write_in_order(writes).await
    }

    /// The events after seq `after` that are stored so far, in order. `after` is 0, or the last seq of
    /// an earlier answer: batches are read from where that one ended, and not from the beginning.
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

    /// A page of those events: at least one if there are any, and about a megabyte at most.
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

    /// Reads a page of batches, and returns where the next begins.
    async fn next_events(
        &self,
        query: &Query,
        events: &mut Vec<RunEvent>,
    ) -> Result<Option<Cursor>, StoreError> {
        let page = self.table.page(query).await?;
        let now = Timestamp::now().unix();
        for item in page.items {
            let batch: Batch = item.read()?;
            // TTL deletes late.
            if batch.expires > now {
                events.extend(event_batch::decode(&batch.events).map_err(StoreError::unreadable)?);
            }
        }
        Ok(page.next)
    }

    /// The runs that haven't ended.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn open(&self) -> Result<Vec<Run>, StoreError> {
        let mut runs = Vec::new();
        for state in RunState::OPEN {
            for shard in 0..SHARDS {
                let query = Query::of(Index::Gsi2, queue_key(state, shard), Sort::All);
                for item in self.table.query(query).await? {
                    runs.push(read_record(&item)?.0);
                }
            }
        }
        Ok(runs)
    }

    /// Where the text goes: into the item, or into the bucket under a key.
    async fn place_text(&self, run: &Run) -> Result<StoredText, StoreError> {
        if run.text.len() <= INLINE_TEXT_MAX_BYTES {
            let text = Some(run.text.clone()).filter(|text| !text.is_empty());
            return Ok(StoredText { text, text_key: None });
        }
        let key = format!("runs/{}/text", run.id);
        let text = run.text.clone().into_bytes();
        self.bucket.put(&key, "text/plain; charset=utf-8", text).await?;
        Ok(StoredText { text: None, text_key: Some(key) })
    }
}

/// A run's record.
fn record(run: &Run, text: StoredText) -> Result<Item, StoreError> {
    let record = serde_json::to_string(run).map_err(StoreError::unreadable)?;
    let stored = Stored { record, state: run.state, text };
    let item = Item::new(key(run.id, META), VERSION, &stored)?;
    if run.state.is_terminal() {
        return Ok(item);
    }
    let shard = run.created_at.unix().unsigned_abs() % SHARDS;
    Ok(item.in_gsi2(queue_key(run.state, shard), run.id.to_string()))
}

/// A run, but for its text, and where that is.
fn read_record(item: &Item) -> Result<(Run, StoredText), StoreError> {
    if item.version < VERSION {
        let stored: StoredV1 = item.read()?;
        return Ok((stored.run, stored.text));
    }
    let stored: Stored = item.read()?;
    Ok((serde_json::from_str(&stored.record).map_err(StoreError::unreadable)?, stored.text))
}

/// Events that follow each other, in items.
fn batches(id: RunId, events: &[RunEvent]) -> Result<Vec<Item>, StoreError> {
    let expires = Timestamp::now().plus(EVENTS_TTL).unix();
    let mut items = Vec::new();
    append_batches(id, events, expires, &mut items)?;
    Ok(items)
}

/// Appends items with the events: halves of them until each fits.
fn append_batches(
    id: RunId,
    events: &[RunEvent],
    expires: i64,
    items: &mut Vec<Item>,
) -> Result<(), StoreError> {
    let Some(first) = events.first() else { return Ok(()) };
    let json = event_batch::encode(events).map_err(StoreError::unreadable)?;
    if json.len() > BATCH_MAX_BYTES && events.len() > 1 {
        let (before, after) = events.split_at(events.len() / 2);
        append_batches(id, before, expires, items)?;
        return append_batches(id, after, expires, items);
    }
    let item = Item::new(event_key(id, first.seq), BATCH_VERSION, &Batch { events: json, expires })?;
    items.push(item.expiring(expires));
    Ok(())
}

/// The batches behind the event `after`.
fn events_query(id: RunId, after: u64) -> Query {
    // "~" sorts behind every digit.
    Query::partition(pk(id), Sort::Between(event_key(id, after + 1).sk, "E#~".to_owned()))
}

fn pk(id: RunId) -> String {
    format!("RUN#{id}")
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
