//! Serves a run with a kept answer, and writes down that it did.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use hearth_domain::{Cost, FinishReason, Run, RunId, RunState, Timestamp};
use hearth_wire::{RunEventBody, answer::Answers};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
    time::timeout,
};

use super::{CacheOutcome, entry::Entry};
use crate::{
    Caller, Gateway, RunStream,
    run::{CREATE, new_run},
};

/// So many runs may wait to be recorded. The next is served when one of them is: a store that is slow for a
/// while isn't noticed, one that always is slows its clients, and memory has a bound.
const WAITING: u32 = 16_384;
/// So many are recorded at once: at home that is the processor's work, and those who wait for an answer need it
/// more.
const AT_ONCE: usize = 2;
/// How long an answer may wait for there to be room.
const ROOM: Duration = Duration::from_millis(100);
/// How long the process' end may wait for all of them.
const LAST: Duration = Duration::from_secs(5);
/// Waits before a write is tried again.
const RETRIES: [Duration; 3] = [Duration::from_millis(200), Duration::from_secs(1), Duration::from_secs(5)];

/// Runs that were served with kept answers, and wait to be recorded.
#[derive(Debug)]
pub(crate) struct Unrecorded {
    room: Arc<Semaphore>,
    turns: Arc<Semaphore>,
}

impl Default for Unrecorded {
    fn default() -> Self {
        Self { room: Arc::new(Semaphore::new(WAITING as usize)), turns: Arc::new(Semaphore::new(AT_ONCE)) }
    }
}

impl Unrecorded {
    async fn room(&self) -> Option<OwnedSemaphorePermit> {
        match Arc::clone(&self.room).try_acquire_owned() {
            Ok(permit) => Some(permit),
            Err(_) => timeout(ROOM, Arc::clone(&self.room).acquire_owned()).await.ok()?.ok(),
        }
    }
}

impl Gateway {
    /// The run `id`, served with a kept answer. Its record is written meanwhile: at once and whole, without its
    /// events.
    pub(super) async fn replay(&self, caller: &Caller, id: RunId, entry: &Arc<Entry>) -> RunStream {
        let first: VecDeque<_> = entry.replay().collect();
        // Nothing follows: nobody has the other end.
        let (_, rest) = mpsc::unbounded_channel();
        let stream = RunStream { id, cache: Some(CacheOutcome::Hit), first, rest };
        let unrecorded = &self.0.cache.unrecorded;
        let Some(room) = unrecorded.room().await else {
            metrics::counter!("hearth_cache_unrecorded_total").increment(1);
            tracing::error!(run = %id, "the store is too slow to record a run that the cache has served");
            return stream;
        };
        let (tell, recorded) = oneshot::channel();
        let recorded = self.0.beginning.note(id, recorded);
        let run = Run {
            state: RunState::Completed,
            cost: Some(Cost::ZERO),
            finished_at: Some(Timestamp::now()),
            ..new_run(caller, id, &entry.selected())
        };
        let (store, turns, entry) = (self.store().clone(), Arc::clone(&unrecorded.turns), Arc::clone(entry));
        tokio::spawn(async move {
            let (_room, _turn) = (room, turns.acquire().await);
            record(&store, run, &entry).await;
            let _ = tell.send(());
        });
        if !self.outlives_answers() {
            // The process is frozen after the answer.
            let _ = timeout(CREATE, recorded).await;
        }
        stream
    }

    /// Waits until the runs that kept answers have served are recorded, or have had their time. Before the
    /// process ends.
    pub async fn replays_recorded(&self) {
        if timeout(LAST, self.0.cache.unrecorded.room.acquire_many(WAITING)).await.is_err() {
            tracing::error!("runs that the cache has served couldn't be recorded before the end");
        }
    }
}

async fn record(store: &hearth_store::Store, run: Run, entry: &Entry) {
    let run = with_answer(run, entry);
    let mut waits = RETRIES.into_iter();
    loop {
        match (store.runs().create(&run).await, waits.next()) {
            // The id was made here: a conflict is an earlier write whose answer was lost.
            (Ok(()) | Err(hearth_store::StoreError::Conflict), _) => return,
            (Err(_), Some(wait)) => tokio::time::sleep(wait).await,
            (Err(error), None) => {
                return tracing::error!(run = %run.id, %error, "a run that the cache has served couldn't be recorded");
            }
        }
    }
}

/// The record of a run, with the answer that has served it.
fn with_answer(mut run: Run, entry: &Entry) -> Run {
    let mut answers = Answers::default();
    for event in entry.events() {
        answers.take(event);
        match event {
            RunEventBody::Usage { usage } => run.usage = *usage,
            RunEventBody::Done { finish_reason } => run.finish_reason = Some(*finish_reason),
            _ => {}
        }
    }
    run.finish_reason.get_or_insert(FinishReason::Stop);
    if let Some(first) = answers.all().first() {
        (run.text, run.tool_calls) = (first.text.clone(), first.tool_calls.clone());
    }
    run
}
