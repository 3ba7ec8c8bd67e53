use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use hearth_domain::{FinishReason, Run, Secret, Selection, UserId};
use hearth_store::{
    Names, Store, StoreError,
    bucket::{Blob, Bucket},
    database::{Database, Item, Key, Page, Query, Write},
    secrets::Secrets,
};
use hearth_wire::{RunEvent, RunEventBody};
use tokio::time::Instant;

use super::{Delivery, PendingRecords, RecordTimes, RecordWriter, Recording, start};

/// A database that counts its writes, and fails on demand.
#[derive(Debug, Default)]
struct Fake {
    is_failing: AtomicBool,
    attempts: AtomicUsize,
    /// The sort keys of the items that were written.
    written: Mutex<Vec<String>>,
}

impl Fake {
    fn put(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        self.attempts.fetch_add(1, Ordering::SeqCst);
        if self.is_failing.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable { operation: "write", reason: "it fails on demand".into() });
        }
        let keys = writes.into_iter().filter_map(|write| match write {
            Write::Put(item, _) => Some(item.key.sk),
            _ => None,
        });
        self.written.lock().unwrap().extend(keys);
        Ok(())
    }

    /// The sort keys of the written items; `OWNED` for an entry in the index of an owner.
    fn written(&self) -> Vec<String> {
        let written = self.written.lock().unwrap();
        let name = |key: &String| if key.starts_with("RUN#") { "OWNED".to_owned() } else { key.clone() };
        written.iter().map(name).collect()
    }
}

#[async_trait]
impl Database for Fake {
    async fn prepare(&self) -> Result<(), StoreError> {
        Ok(())
    }
    async fn get(&self, _: &Key) -> Result<Option<Item>, StoreError> {
        Ok(None)
    }
    async fn write(&self, write: Write) -> Result<(), StoreError> {
        self.put(vec![write])
    }
    async fn transact(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        self.put(writes)
    }
    async fn write_in_order(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        self.put(writes)
    }
    async fn query(&self, _: &Query) -> Result<Page, StoreError> {
        Ok(Page { items: Vec::new(), next: None })
    }
    async fn scan(&self, _: Option<&Key>) -> Result<Page, StoreError> {
        Ok(Page { items: Vec::new(), next: None })
    }
    async fn check(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

#[derive(Debug)]
pub(super) struct Nothing;

#[async_trait]
impl Bucket for Nothing {
    async fn put(&self, _: &str, _: &str, _: Vec<u8>) -> Result<(), StoreError> {
        Ok(())
    }
    async fn get_range(&self, _: &str, _: u64, _: u64) -> Result<Option<Blob>, StoreError> {
        Ok(None)
    }
    async fn size(&self, _: &str) -> Result<Option<u64>, StoreError> {
        Ok(None)
    }
    async fn get(&self, _: &str) -> Result<Option<Blob>, StoreError> {
        Ok(None)
    }
    async fn delete(&self, _: &str) -> Result<(), StoreError> {
        Ok(())
    }
    async fn check(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

#[async_trait]
impl Secrets for Nothing {
    async fn get(&self, _: &str) -> Result<Option<Secret>, StoreError> {
        Ok(None)
    }
    async fn put(&self, _: &str, _: &Secret) -> Result<(), StoreError> {
        Ok(())
    }
    async fn check(&self, _: &str) -> Result<(), StoreError> {
        Ok(())
    }
}

struct World {
    fake: Arc<Fake>,
    writer: RecordWriter,
    pending: PendingRecords,
}

impl World {
    fn new() -> Self {
        let fake = Arc::<Fake>::default();
        let database: Arc<dyn Database> = Arc::<Fake>::clone(&fake);
        let store = Store::over(database, Arc::new(Nothing), Arc::new(Nothing), Names::default());
        Self { fake, writer: RecordWriter::new(store), pending: PendingRecords::default() }
    }

    fn record(&self, delivery: Delivery) -> Recording {
        start(self.writer.clone(), &self.pending, run(), RecordTimes::OWN_STORE, delivery, Default::default())
    }
}

fn run() -> Run {
    Run { selection: Selection::example("big", "rig"), ..Run::example(UserId::new()) }
}

fn text(seq: u64) -> RunEvent {
    RunEvent { seq, body: RunEventBody::text("word ") }
}

fn done(seq: u64) -> RunEvent {
    RunEvent { seq, body: RunEventBody::Done { finish_reason: FinishReason::Stop } }
}

#[tokio::test]
async fn whole_answer_that_ends_soon_is_one_write_that_is_queued_at_once() {
    let world = World::new();
    let recording = world.record(Delivery::Whole);
    recording.record(text(1));
    recording.record(text(2));
    let receipt = recording.end(done(3)).unwrap();
    // Nothing was polled.
    assert_eq!(world.fake.written(), ["OWNED", "META"]);
    assert!(receipt.wait().await);
    assert!(recording.end(done(4)).is_none(), "a run ends once");
}

#[tokio::test]
async fn stream_is_begun_appended_and_ended_in_order() {
    let world = World::new();
    let recording = world.record(Delivery::Stream);
    recording.record(text(1));
    let until_begun = async {
        world.pending.wait_begun(recording.0.id).await;
        while world.fake.written().len() < 3 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = until_begun => {}
        never = recording.work() => never,
    }
    recording.record(text(2));
    assert!(recording.end(done(3)).unwrap().wait().await);
    assert_eq!(world.fake.written(), ["OWNED", "META", "E#000000000001", "E#000000000002", "META"]);
}

#[tokio::test(start_paused = true)]
async fn run_that_must_be_stored_first_fails_with_the_store() {
    let world = World::new();
    world.fake.is_failing.store(true, Ordering::SeqCst);
    let recording = world.record(Delivery::Stream);
    assert!(recording.begin().await.is_err());
    world.fake.is_failing.store(false, Ordering::SeqCst);
    assert!(recording.end(done(1)).unwrap().wait().await, "its end is stored in one write");
    assert_eq!(world.fake.written().last().map(String::as_str), Some("META"));
}

#[tokio::test(start_paused = true)]
async fn paid_store_gets_fewer_batches_of_a_stream_that_nobody_follows() {
    let batches = async |is_followed: bool| {
        let world = World::new();
        let times = RecordTimes::PAID_STORE;
        let (writer, stream) = (world.writer.clone(), Delivery::Stream);
        let recording = start(writer, &world.pending, run(), times, stream, Default::default());
        let tokens = async {
            for seq in 1..=500 {
                recording.record(text(seq));
                if is_followed && seq == 10 {
                    recording.set_followed(Instant::now() + Duration::from_secs(30));
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::select! {
            () = tokens => {}
            never = recording.work() => never,
        }
        assert!(recording.end(done(501)).unwrap().wait().await);
        world.fake.written().iter().filter(|key| key.starts_with("E#")).count()
    };
    let (alone, followed) = (batches(false).await, batches(true).await);
    assert_eq!(alone, 3, "at 0.9 s, at 3.4 s, and the rest");
    // The first, which has waited for the mark, is written at once.
    assert!((6..=7).contains(&followed), "{followed}");
}

#[tokio::test]
async fn run_that_a_request_waits_for_is_begun_at_once() {
    let world = World::new();
    let recording = world.record(Delivery::Whole);
    tokio::select! {
        () = world.pending.wait_current(recording.0.id) => {}
        never = recording.work() => never,
    }
    assert_eq!(world.fake.written(), ["OWNED", "META"]);
}

#[tokio::test]
async fn failing_store_is_tried_by_one_write_at_a_time_and_gets_everything_in_the_end() {
    let world = World::new();
    world.fake.is_failing.store(true, Ordering::SeqCst);
    let receipts: Vec<_> = (0..100).map(|_| world.record(Delivery::Whole).end(done(1)).unwrap()).collect();
    let first = world.fake.attempts.load(Ordering::SeqCst);
    assert!(first < 10, "{first} writes of 100 runs were tried at once");
    tokio::time::sleep(Duration::from_millis(500)).await;
    let attempts = world.fake.attempts.load(Ordering::SeqCst);
    assert!(attempts < first + 10, "{attempts} writes in half a second");
    assert!(world.pending.is_late(Duration::ZERO) && !world.pending.is_down());
    world.fake.is_failing.store(false, Ordering::SeqCst);
    for receipt in receipts {
        assert!(receipt.wait().await);
    }
    // The record, and its entry in the owner's index.
    assert_eq!(world.fake.written().len(), 200);
}
