//! Runs: their records, and their events in batches.
//!
//! Every change of a record is conditional on the run's not having ended, so a terminal state is
//! final whoever comes late.
//!
//! A record is one attribute of JSON beside those that conditions and indexes look at: a field of its own for
//! each would cost more than all the rest of writing it down.

use std::time::Duration;

use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem};
use hearth_domain::{Run, RunId, RunState, Timestamp, UserId};
use hearth_wire::RunEvent;
use serde::{Deserialize, Serialize};

use crate::{
    StoreError, Table,
    item::{Attributes, Item, Key, META, number, read},
    table::{Query, Sort},
};

/// The shape of a record. In version 1 each of the run's fields was an attribute.
const VERSION: u32 = 2;
/// The shape of a batch of events.
const BATCH_VERSION: u32 = 1;
/// The most items that a transaction takes.
const TRANSACTION: usize = 100;
/// Events can be read this long.
const EVENTS_KEPT: Duration = Duration::from_secs(3600);
/// A text over this many bytes goes to the bucket.
const INLINE_TEXT: usize = 32 << 10;
/// The index of runs that haven't ended is spread over so many partitions.
const SHARDS: u64 = 8;

/// The runs.
#[derive(Debug, Clone, Copy)]
pub struct Runs<'a> {
    pub(crate) table: &'a Table,
    pub(crate) s3: &'a aws_sdk_s3::Client,
    pub(crate) bucket: &'a str,
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

/// A run that has ended and was never stored before.
#[derive(Debug, Clone, Copy)]
pub struct Ended<'a> {
    /// The run.
    pub run: &'a Run,
    /// All its events; none if the record tells them.
    pub events: &'a [RunEvent],
}

#[derive(Serialize, Deserialize)]
struct Batch {
    /// JSON, so that an event's shape is the wire's business alone.
    events: String,
    expires: i64,
}

impl Runs<'_> {
    /// Stores a new run.
    ///
    /// # Errors
    /// `Conflict` if the id is taken.
    pub async fn create(&self, run: &Run) -> Result<(), StoreError> {
        self.put(run, "attribute_not_exists(pk)", &[]).await
    }

    /// Stores what has changed of a run that hasn't ended; its state may be a terminal one.
    ///
    /// # Errors
    /// `Conflict` if it has ended.
    pub async fn update(&self, run: &Run) -> Result<(), StoreError> {
        let open = RunState::OPEN.map(RunState::as_str);
        self.put(run, "#state IN (:open0, :open1)", &open).await
    }

    /// Stores a new run; returns when that is committed.
    ///
    /// # Errors
    /// `Conflict` if the id is taken.
    pub async fn begin(&self, run: &Run) -> Result<(), StoreError> {
        self.create(run).await
    }

    /// Stores what has changed of a run that hasn't ended, its end included; returns when that is committed.
    ///
    /// # Errors
    /// `Conflict` if it has ended.
    pub async fn end(&self, run: &Run) -> Result<(), StoreError> {
        self.update(run).await
    }

    /// Stores a run that has ended and was never stored before, with those of its `events` that a reader needs, as
    /// one write; returns when that is committed. The text and the events may have any size up to an item's.
    ///
    /// # Errors
    /// `Conflict` if the id is taken.
    pub async fn record_ended(&self, run: &Run, events: &[RunEvent]) -> Result<(), StoreError> {
        self.put_ended(&[Ended { run, events }]).await
    }

    /// Stores short runs that have ended and were never stored before, many at once; each with its events, or
    /// not at all. Its texts and events have at most 40 KB: a transaction has at most 4 MB.
    ///
    /// # Errors
    /// If the table can't be written; some of them may have been.
    pub async fn put_ended(&self, runs: &[Ended<'_>]) -> Result<(), StoreError> {
        let mut puts = Vec::with_capacity(TRANSACTION);
        for ended in runs {
            if puts.len() + 2 > TRANSACTION {
                self.put_together(std::mem::take(&mut puts)).await?;
            }
            let text = Some(ended.run.text.clone()).filter(|text| !text.is_empty());
            puts.push(record(ended.run, StoredText { text, text_key: None })?);
            puts.extend(batch(ended.run.id, ended.events)?);
        }
        self.put_together(puts).await
    }

    async fn put_together(&self, items: Vec<Item>) -> Result<(), StoreError> {
        if items.is_empty() {
            return Ok(());
        }
        let mut call = self.table.client.transact_write_items();
        for item in items {
            let put = Put::builder().table_name(&self.table.name).set_item(Some(item.0)).build();
            let put = put.map_err(|error| StoreError::Unreadable(error.to_string()))?;
            call = call.transact_items(TransactWriteItem::builder().put(put).build());
        }
        call.send().await.map(drop).map_err(|error| StoreError::unavailable("transact_write_items", &error))
    }

    /// A run.
    ///
    /// # Errors
    /// If the table or the bucket can't be read.
    pub async fn get(&self, id: RunId) -> Result<Option<Run>, StoreError> {
        let Some(item) = self.table.get_attributes(&key(id, META)).await? else { return Ok(None) };
        let (mut run, text) = read_record(item)?;
        run.text = match (text.text, text.text_key) {
            (Some(text), _) => text,
            (None, Some(key)) => self.read_text(&key).await?,
            (None, None) => String::new(),
        };
        Ok(Some(run))
    }

    /// Appends events, which are in order and follow those stored before.
    ///
    /// # Errors
    /// `Conflict` if there are events with this seq.
    pub async fn append(&self, id: RunId, events: &[RunEvent]) -> Result<(), StoreError> {
        let Some(item) = batch(id, events)? else { return Ok(()) };
        self.table.put(item, Some("attribute_not_exists(pk)")).await
    }

    /// The events after seq `after` that are stored so far, in order. `after` is 0, or the last seq of
    /// an earlier answer: batches are read from where that one ended, and not from the beginning.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn events_after(&self, id: RunId, after: u64) -> Result<Vec<RunEvent>, StoreError> {
        // "~" sorts behind every digit.
        let sort = Sort::Between(event_key(id, after + 1).sk, "E#~".to_owned());
        let query = Query { index: None, pk: pk(id), sort };
        let items = self.table.query(&query).await?;
        let now = Timestamp::now().unix();
        let mut events = Vec::new();
        for item in items {
            let batch: Batch = read(item)?;
            // TTL deletes late.
            if batch.expires > now {
                events.extend(serde_json::from_str::<Vec<RunEvent>>(&batch.events).map_err(unreadable)?);
            }
        }
        Ok(events)
    }

    /// A page of those events: at least one if there are any, and about a megabyte at most.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn events_page(&self, id: RunId, after: u64) -> Result<Vec<RunEvent>, StoreError> {
        self.events_after(id, after).await
    }

    /// The runs that haven't ended.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn open(&self) -> Result<Vec<Run>, StoreError> {
        let mut runs = Vec::new();
        for state in RunState::OPEN {
            for shard in 0..SHARDS {
                let pk = queue_key(state, shard);
                let query = Query { index: Some("gsi2"), pk, sort: Sort::All };
                for item in self.table.query(&query).await? {
                    runs.push(read_record(item)?.0);
                }
            }
        }
        Ok(runs)
    }

    async fn put(&self, run: &Run, condition: &str, values: &[&str]) -> Result<(), StoreError> {
        let item = record(run, self.place_text(run).await?)?;
        let mut call = self.table.client.put_item().table_name(&self.table.name).set_item(Some(item.0));
        call = call.condition_expression(condition);
        if !values.is_empty() {
            call = call.expression_attribute_names("#state", "state");
        }
        for (index, value) in values.iter().enumerate() {
            call = call
                .expression_attribute_values(format!(":open{index}"), AttributeValue::S((*value).to_owned()));
        }
        call.send().await.map(drop).map_err(|error| StoreError::unavailable("put_item", &error))
    }

    /// Where the text goes: into the item, or into the bucket under a key.
    async fn place_text(&self, run: &Run) -> Result<StoredText, StoreError> {
        if run.text.len() <= INLINE_TEXT {
            let text = Some(run.text.clone()).filter(|text| !text.is_empty());
            return Ok(StoredText { text, text_key: None });
        }
        let key = format!("runs/{}/text", run.id);
        let body = aws_sdk_s3::primitives::ByteStream::from(run.text.clone().into_bytes());
        let call =
            self.s3.put_object().bucket(self.bucket).key(&key).content_type("text/plain; charset=utf-8");
        call.body(body).send().await.map_err(|error| StoreError::unavailable("put_object", &error))?;
        Ok(StoredText { text: None, text_key: Some(key) })
    }

    async fn read_text(&self, key: &str) -> Result<String, StoreError> {
        let answer = self.s3.get_object().bucket(self.bucket).key(key).send().await;
        let answer = answer.map_err(|error| StoreError::unavailable("get_object", &error))?;
        let bytes = answer.body.collect().await.map_err(|error| StoreError::Unreadable(error.to_string()))?;
        String::from_utf8(bytes.to_vec()).map_err(|error| StoreError::Unreadable(error.to_string()))
    }
}

/// A run's record.
fn record(run: &Run, text: StoredText) -> Result<Item, StoreError> {
    let record = serde_json::to_string(run).map_err(unreadable)?;
    let stored = Stored { record, state: run.state, text };
    let mut item = Item::new(&key(run.id, META), VERSION, &stored)?;
    item = item.indexed("gsi1", &owner_key(run.owner), &format!("RUN#{}", run.id));
    if !run.state.is_terminal() {
        let shard = run.created_at.unix().unsigned_abs() % SHARDS;
        item = item.indexed("gsi2", &queue_key(run.state, shard), &run.id.to_string());
    }
    Ok(item)
}

/// A run, but for its text, and where that is.
fn read_record(item: Attributes) -> Result<(Run, StoredText), StoreError> {
    if !item.contains_key("record") {
        let stored: StoredV1 = read(item)?;
        return Ok((stored.run, stored.text));
    }
    let stored: Stored = read(item)?;
    Ok((serde_json::from_str(&stored.record).map_err(unreadable)?, stored.text))
}

#[expect(clippy::needless_pass_by_value, reason = "what `map_err` gives")]
fn unreadable(error: serde_json::Error) -> StoreError {
    StoreError::Unreadable(error.to_string())
}

/// Events that follow each other, if there are any.
fn batch(id: RunId, events: &[RunEvent]) -> Result<Option<Item>, StoreError> {
    let Some(first) = events.first() else { return Ok(None) };
    let json = serde_json::to_string(events).map_err(unreadable)?;
    let expires = Timestamp::now().plus(EVENTS_KEPT).unix();
    let item = Item::new(&event_key(id, first.seq), BATCH_VERSION, &Batch { events: json, expires })?;
    Ok(Some(item.with("ttl", number(expires))))
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

fn owner_key(owner: UserId) -> String {
    format!("USER#{owner}")
}

fn queue_key(state: RunState, shard: u64) -> String {
    format!("Q#{}#{shard}", state.as_str())
}
