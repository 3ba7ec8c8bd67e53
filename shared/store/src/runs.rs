//! Runs: their records, and their events in batches.
//!
//! Every change of a record is conditional on the run's not having ended, so a terminal state is
//! final whoever comes late.

use std::time::Duration;

use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem};
use hearth_domain::{Run, RunId, RunState, Timestamp, UserId};
use hearth_wire::RunEvent;
use serde::{Deserialize, Serialize};

use crate::{
    StoreError, Table,
    item::{Item, Key, META, number, read},
    table::{Query, Sort},
};

const VERSION: u32 = 1;
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
    #[serde(flatten)]
    run: Run,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text_key: Option<String>,
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

    /// Stores runs that have ended and were never stored before, each with all its events: all of them, or
    /// none. At most 50, and short ones: a transaction has at most 100 items, and 4 MB.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn put_ended(&self, runs: &[(&Run, &[RunEvent])]) -> Result<(), StoreError> {
        let mut call = self.table.client.transact_write_items();
        for (run, events) in runs {
            let text = Some(run.text.clone()).filter(|text| !text.is_empty());
            let record = record(run, text, None)?;
            for item in std::iter::once(record).chain(batch(run.id, events)?) {
                let put = Put::builder().table_name(&self.table.name).set_item(Some(item.0)).build();
                let put = put.map_err(|error| StoreError::Unreadable(error.to_string()))?;
                call = call.transact_items(TransactWriteItem::builder().put(put).build());
            }
        }
        call.send().await.map(drop).map_err(|error| StoreError::unavailable("transact_write_items", &error))
    }

    /// A run.
    ///
    /// # Errors
    /// If the table or the bucket can't be read.
    pub async fn get(&self, id: RunId) -> Result<Option<Run>, StoreError> {
        let Some(stored) = self.table.get::<Stored>(&key(id, META)).await? else { return Ok(None) };
        let mut run = stored.run;
        run.text = match (stored.text, stored.text_key) {
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
                let batch: Vec<RunEvent> = serde_json::from_str(&batch.events)
                    .map_err(|error| StoreError::Unreadable(error.to_string()))?;
                events.extend(batch);
            }
        }
        Ok(events)
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
                    runs.push(read::<Stored>(item)?.run);
                }
            }
        }
        Ok(runs)
    }

    async fn put(&self, run: &Run, condition: &str, values: &[&str]) -> Result<(), StoreError> {
        let (text, text_key) = self.place_text(run).await?;
        let item = record(run, text, text_key)?;
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
    async fn place_text(&self, run: &Run) -> Result<(Option<String>, Option<String>), StoreError> {
        if run.text.len() <= INLINE_TEXT {
            return Ok((Some(run.text.clone()).filter(|text| !text.is_empty()), None));
        }
        let key = format!("runs/{}/text", run.id);
        let body = aws_sdk_s3::primitives::ByteStream::from(run.text.clone().into_bytes());
        let call =
            self.s3.put_object().bucket(self.bucket).key(&key).content_type("text/plain; charset=utf-8");
        call.body(body).send().await.map_err(|error| StoreError::unavailable("put_object", &error))?;
        Ok((None, Some(key)))
    }

    async fn read_text(&self, key: &str) -> Result<String, StoreError> {
        let answer = self.s3.get_object().bucket(self.bucket).key(key).send().await;
        let answer = answer.map_err(|error| StoreError::unavailable("get_object", &error))?;
        let bytes = answer.body.collect().await.map_err(|error| StoreError::Unreadable(error.to_string()))?;
        String::from_utf8(bytes.to_vec()).map_err(|error| StoreError::Unreadable(error.to_string()))
    }
}

/// A run's record.
fn record(run: &Run, text: Option<String>, text_key: Option<String>) -> Result<Item, StoreError> {
    let stored = Stored { run: run.clone(), text, text_key };
    let mut item = Item::new(&key(run.id, META), VERSION, &stored)?;
    item = item.indexed("gsi1", &owner_key(run.owner), &format!("RUN#{}", run.id));
    if !run.state.is_terminal() {
        let shard = run.created_at.unix().unsigned_abs() % SHARDS;
        item = item.indexed("gsi2", &queue_key(run.state, shard), &run.id.to_string());
    }
    Ok(item)
}

/// Events that follow each other, if there are any.
fn batch(id: RunId, events: &[RunEvent]) -> Result<Option<Item>, StoreError> {
    let Some(first) = events.first() else { return Ok(None) };
    let json = serde_json::to_string(events).map_err(|error| StoreError::Unreadable(error.to_string()))?;
    let expires = Timestamp::now().plus(EVENTS_KEPT).unix();
    let item = Item::new(&event_key(id, first.seq), VERSION, &Batch { events: json, expires })?;
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
