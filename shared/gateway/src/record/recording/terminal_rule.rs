//! The terminal rule, by properties: whatever order late events and late writers come in, a run has one terminal state, and a
//! follower gets one terminal event, which has that state.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use hearth_domain::{FinishReason, Run, RunId, RunState, UserId};
use hearth_store::{
    Names, Store, StoreError,
    database::{Condition, Database, Item, Key, Page, Query, Write},
};
use hearth_wire::{ApiError, ErrorCode, RunEvent, RunEventBody};
use proptest::prelude::*;

use super::{Delivery, PendingRecords, RecordTimes, RecordWriter, start, tests::Nothing};
use crate::record::replay::{Seen, end_by_record};

/// A table in memory, which obeys the conditions that records have, and refuses writes on demand.
#[derive(Debug, Default)]
struct Memory {
    items: Mutex<BTreeMap<(String, String), Item>>,
    is_failing: AtomicBool,
    /// The terminal states that a record was given.
    ends: Mutex<Vec<String>>,
}

impl Memory {
    fn state(item: &Item) -> String {
        let body: serde_json::Value = serde_json::from_str(&item.body).unwrap();
        body["state"].as_str().unwrap_or_default().to_owned()
    }

    fn put(&self, write: Write) -> Result<(), StoreError> {
        let Write::Put(item, condition) = write else { return Ok(()) };
        // Refused for good: a transient failure would be retried for half a minute.
        if self.is_failing.load(Ordering::SeqCst) {
            return Err(StoreError::Unreadable("it fails on demand".to_owned()));
        }
        let mut items = self.items.lock().unwrap();
        let key = (item.key.pk.clone(), item.key.sk.clone());
        let stored = items.get(&key);
        let holds = match condition {
            Condition::Always => true,
            Condition::Absent => stored.is_none(),
            Condition::AttributeIn("state", states) => {
                stored.is_some_and(|stored| states.contains(&Self::state(stored).as_str()))
            }
            other => panic!("no record has the condition {other:?}"),
        };
        if !holds {
            return Err(StoreError::Conflict);
        }
        if item.key.sk == "META" && !["queued", "running"].contains(&Self::state(&item).as_str()) {
            self.ends.lock().unwrap().push(Self::state(&item));
        }
        items.insert(key, item);
        Ok(())
    }
}

#[async_trait]
impl Database for Memory {
    async fn prepare(&self) -> Result<(), StoreError> {
        Ok(())
    }
    async fn get(&self, key: &Key) -> Result<Option<Item>, StoreError> {
        Ok(self.items.lock().unwrap().get(&(key.pk.clone(), key.sk.clone())).cloned())
    }
    async fn write(&self, write: Write) -> Result<(), StoreError> {
        self.put(write)
    }
    async fn transact(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        writes.into_iter().try_for_each(|write| self.put(write))
    }
    async fn write_in_order(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        writes.into_iter().try_for_each(|write| self.put(write))
    }
    async fn query(&self, query: &Query) -> Result<Page, StoreError> {
        let items = self.items.lock().unwrap();
        let of_run = items.values().filter(|item| item.key.pk == query.pk && item.key.sk.starts_with("E#"));
        Ok(Page { items: of_run.cloned().collect(), next: None })
    }
    async fn scan(&self, _: Option<&Key>) -> Result<Page, StoreError> {
        Ok(Page { items: Vec::new(), next: None })
    }
    async fn check(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

#[derive(Debug, Clone)]
enum Step {
    /// The driver records a piece of the text.
    Text,
    /// The driver records a terminal event: the first, or a late one.
    End(RunState),
    /// Another process ends the run.
    EndElsewhere(RunState),
    /// The store fails, or works again.
    Fail(bool),
    /// The driver's task has time to write.
    Work,
}

fn end() -> impl Strategy<Value = RunState> {
    prop_oneof![Just(RunState::Completed), Just(RunState::Failed), Just(RunState::Cancelled)]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::Text),
        2 => end().prop_map(Step::End),
        2 => end().prop_map(Step::EndElsewhere),
        1 => any::<bool>().prop_map(Step::Fail),
        3 => Just(Step::Work),
    ]
}

fn terminal(state: RunState) -> RunEventBody {
    match state {
        RunState::Completed => RunEventBody::Done { finish_reason: FinishReason::Stop },
        RunState::Cancelled => RunEventBody::Cancelled,
        _ => RunEventBody::Error { error: ApiError::new(ErrorCode::NodeLost, "lost") },
    }
}

fn state_of(event: &RunEventBody) -> RunState {
    match event {
        RunEventBody::Done { .. } => RunState::Completed,
        RunEventBody::Cancelled => RunState::Cancelled,
        RunEventBody::Error { .. } => RunState::Failed,
        other => panic!("{other:?} is no end"),
    }
}

/// Writes an end as another process does.
async fn end_elsewhere(writer: &RecordWriter, id: RunId, state: RunState) {
    if let Ok(Some(run)) = writer.store().runs().get(id).await {
        let _ = writer.update(&Run { state, ..run }).await;
    }
}

async fn check(steps: Vec<Step>, delivery: Delivery) {
    let memory = Arc::<Memory>::default();
    let database: Arc<dyn Database> = Arc::<Memory>::clone(&memory);
    let store = Store::over(database, Arc::new(Nothing), Arc::new(Nothing), Names::default());
    let (writer, pending) = (RecordWriter::new(store.clone()), PendingRecords::default());
    let run = Run::example(UserId::new());
    let id = run.id;
    let recording =
        start(writer.clone(), &pending, run, RecordTimes::OWN_STORE, delivery, Default::default());
    let (mut seq, mut ends) = (0, 0);
    // Each run ends in the end, with a store that works.
    let last = [Step::Fail(false), Step::Work, Step::End(RunState::Completed)];
    for step in steps.into_iter().chain(last) {
        match step {
            Step::Text => {
                seq += 1;
                recording.record(RunEvent { seq, body: RunEventBody::text("word ") });
            }
            Step::End(state) => {
                seq += 1;
                if let Some(receipt) = recording.end(RunEvent { seq, body: terminal(state) }) {
                    ends += 1;
                    receipt.wait().await;
                }
            }
            Step::EndElsewhere(state) => end_elsewhere(&writer, id, state).await,
            Step::Fail(fails) => memory.is_failing.store(fails, Ordering::SeqCst),
            Step::Work => {
                let work = recording.work::<()>();
                let _ = tokio::time::timeout(std::time::Duration::from_secs(3), work).await;
            }
        }
    }
    // An end that couldn't be stored is written by whoever reads the run.
    end_elsewhere(&writer, id, RunState::Failed).await;
    assert_eq!(ends, 1, "the driver ends a run once");
    let stored = memory.ends.lock().unwrap().clone();
    assert!(stored.len() <= 1, "the record had several ends: {stored:?}");
    let Some(record) = store.runs().get(id).await.unwrap() else {
        // Neither its beginning nor its end could be stored.
        return;
    };
    assert_eq!(stored, [record.state.as_str()]);
    let events = store.runs().events_after(id, 0).await.unwrap();
    let ended: Vec<&RunEvent> = events.iter().filter(|event| event.body.is_terminal()).collect();
    assert!(ended.len() <= 1, "several terminal events: {ended:?}");
    let followed = ended.first().map_or_else(
        || super::super::replay::replay_from_record(&record, Seen::default()).pop().unwrap(),
        |event| end_by_record((*event).clone(), &record, Seen::default()),
    );
    assert_eq!(state_of(&followed.body), record.state);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn run_has_one_terminal_state_and_one_terminal_event(
        steps in prop::collection::vec(step(), 0..12), is_whole in any::<bool>(),
    ) {
        let delivery = if is_whole { Delivery::Whole } else { Delivery::Stream };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(check(steps, delivery));
    }
}
