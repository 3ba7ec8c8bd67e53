//! Captures the answer of a run, and stores it if it is complete.

use std::{sync::Arc, time::Duration};

use hearth_domain::{Selection, StructuredStatus, Timestamp, UserId};
use hearth_store::cached_answers::CachedFacts;
use hearth_wire::RunEventBody;
use tokio::task::JoinHandle;

use super::{
    answers::Answers,
    entry::{CachedAnswer, StoredAnswer, append, is_complete},
    is_members,
    key::CacheKey,
};
use crate::{background, single_flight::Leader};

/// Timeout of a response that waits for the write to the table, where the process may be frozen after it.
const TABLE_WRITE_TIMEOUT: Duration = Duration::from_secs(5);

/// Captures the answer of one run. If it is dropped before the answer's end, the followers get none.
#[derive(Debug)]
pub(crate) struct Capture {
    answers: Arc<Answers>,
    key: CacheKey,
    /// The answer is for others too.
    is_shared: bool,
    owner: UserId,
    /// The model's name in the request.
    requested_model: String,
    /// Hands the answer to the followers, if this request leads some.
    leader: Option<Leader<CacheKey, Arc<CachedAnswer>>>,
    /// The number of deletions when the run began: a later one makes the answer outdated.
    deletions: u64,
    selected: Option<Selection>,
    events: Vec<RunEventBody>,
    bytes: usize,
    /// The answer won't be stored.
    is_spoiled: bool,
    write: Option<JoinHandle<()>>,
}

impl Capture {
    pub(super) fn new(
        answers: Arc<Answers>,
        key: CacheKey,
        is_shared: bool,
        owner: UserId,
        requested_model: String,
        leader: Option<Leader<CacheKey, Arc<CachedAnswer>>>,
    ) -> Self {
        let deletions = answers.deletions();
        Self {
            answers,
            key,
            is_shared,
            owner,
            requested_model,
            leader,
            deletions,
            selected: None,
            events: Vec::new(),
            bytes: 0,
            is_spoiled: false,
            write: None,
        }
    }

    /// Adds the run's next event.
    pub(crate) fn add(&mut self, event: &RunEventBody) {
        match event {
            RunEventBody::Selected(selected) => {
                (self.bytes, self.events) = (0, Vec::new());
                // A fallback serves while the first choice fails, and not for as long as an answer is cached.
                self.is_spoiled = selected.fallback_used || selected.resumed;
                // The key may have been stored after the cache was asked.
                self.is_spoiled |= self.is_shared && selected.payer.is_some_and(is_members);
                self.selected = Some(selected.clone());
            }
            // A replayed answer has no place in a queue, no steps and no provider's credit. Its cost is zero, which the replay adds.
            RunEventBody::Waiting { .. }
            | RunEventBody::Queued { .. }
            | RunEventBody::Loading { .. }
            | RunEventBody::Progress { .. }
            | RunEventBody::Credits { .. }
            | RunEventBody::Cost { .. } => {}
            RunEventBody::Error { .. } | RunEventBody::Cancelled => self.spoil(),
            // Another attempt may fit.
            RunEventBody::Structured { structured, .. }
                if structured.status() == StructuredStatus::Failed =>
            {
                self.spoil();
            }
            RunEventBody::ChoiceDone { finish_reason, .. } | RunEventBody::Done { finish_reason }
                if !is_complete(*finish_reason) =>
            {
                self.spoil();
            }
            RunEventBody::Done { .. } => {
                self.append(event);
                self.store();
            }
            _ => self.append(event),
        }
    }

    /// Releases the followers. Where the process is frozen after the response, waits for the write to the table.
    pub(crate) async fn finish(self) {
        let Self { answers, leader, write, .. } = self;
        drop(leader);
        let Some(write) = write else { return };
        let written = async {
            if tokio::time::timeout(TABLE_WRITE_TIMEOUT, write).await.is_err() {
                tracing::error!(
                    "an answer's write to the cache is late; the response ends without waiting for it"
                );
            }
        };
        answers.background().wait_if_frozen(written).await;
    }

    fn append(&mut self, event: &RunEventBody) {
        self.bytes += bytes_of(event);
        if self.bytes > self.answers.settings().max_entry_bytes() {
            self.spoil();
        }
        if !self.is_spoiled {
            append(&mut self.events, event.clone());
        }
    }

    fn spoil(&mut self) {
        self.is_spoiled = true;
        self.events = Vec::new();
    }

    /// Puts the answer into memory, hands it to the followers, and starts its write to the table.
    fn store(&mut self) {
        let (answers, key) = (Arc::clone(&self.answers), self.key);
        let Some(selected) = self.selected.take().filter(|_| !self.is_spoiled && is_not_empty(&self.events))
        else {
            return;
        };
        let facts = CachedFacts {
            owner: self.owner,
            requested_model: std::mem::take(&mut self.requested_model),
            model: selected.model.to_string(),
            provider: selected.provider.clone(),
            expires: Timestamp::now().plus(answers.settings().ttl()),
        };
        let stored = StoredAnswer { selected, events: std::mem::take(&mut self.events) };
        let Ok(json) = serde_json::to_string(&stored) else { return };
        if json.len() > answers.settings().max_entry_bytes() {
            return;
        }
        let answer = Arc::new(CachedAnswer::new(facts, stored, json.len()));
        if answers.put_in_memory(key, Arc::clone(&answer), self.deletions) {
            let (answer, deletions) = (Arc::clone(&answer), self.deletions);
            let write = async move { answers.put_in_table(key, &answer, &json, deletions).await };
            self.write = Some(background::spawn(write));
        }
        if let Some(leader) = self.leader.take() {
            leader.finish(answer);
        }
    }
}

/// True if the answer isn't empty. A model that sends nothing may have failed.
fn is_not_empty(events: &[RunEventBody]) -> bool {
    events.iter().any(|event| match event {
        RunEventBody::Delta { text, .. } => !text.is_empty(),
        RunEventBody::ToolCall { .. } | RunEventBody::Embedding { .. } => true,
        _ => false,
    })
}

/// Approximate bytes of an event.
fn bytes_of(event: &RunEventBody) -> usize {
    match event {
        RunEventBody::Delta { text, logprobs, .. } => text.len() + 64 * logprobs.len(),
        RunEventBody::Reasoning { added, .. } => {
            let sealed = [&added.signature, &added.encrypted];
            added.text.len() + sealed.into_iter().flatten().map(String::len).sum::<usize>()
        }
        RunEventBody::ToolCall { arguments, .. } => arguments.len(),
        RunEventBody::Extension { extension, .. } => extension.bytes(),
        RunEventBody::Embedding { vector, .. } => 4 * vector.len(),
        _ => 0,
    }
}
