//! Listens to a run, and keeps its answer if it is worth it.

use std::sync::Arc;

use hearth_domain::{Timestamp, UserId};
use hearth_store::cached_answers::CachedFacts;
use hearth_wire::{RunEventBody, event::Selected};
use tokio::task::JoinHandle;

use super::{
    entry::{Entry, Said, append, is_whole},
    key::Key,
    single_flight::Leader,
};
use crate::{Gateway, background};

/// Listens to one run. Dropped before the answer's end, it tells those who wait for the answer that it won't
/// come.
#[derive(Debug)]
pub(crate) struct Capture {
    gateway: Gateway,
    key: Key,
    owner: UserId,
    /// The model's name in the request.
    asked: String,
    /// Who is to tell those who wait for the same.
    leader: Option<Leader<Key, Arc<Entry>>>,
    /// How many times answers had been deleted when the run began: what it was told may be out of date since.
    deletions: u64,
    selected: Option<Selected>,
    events: Vec<RunEventBody>,
    bytes: usize,
    /// It won't be kept.
    spoiled: bool,
    writing: Option<JoinHandle<()>>,
}

impl Capture {
    /// For a run of `owner`'s that asks for the model `asked`.
    pub(crate) fn new(
        gateway: &Gateway,
        key: Key,
        owner: UserId,
        asked: String,
        leader: Option<Leader<Key, Arc<Entry>>>,
    ) -> Self {
        Self {
            gateway: gateway.clone(),
            key,
            owner,
            asked,
            leader,
            deletions: gateway.0.cache.deletions(),
            selected: None,
            events: Vec::new(),
            bytes: 0,
            spoiled: false,
            writing: None,
        }
    }

    /// Takes the run's next event.
    pub(crate) fn take(&mut self, event: &RunEventBody) {
        match event {
            RunEventBody::Selected(selected) => {
                (self.bytes, self.events) = (0, Vec::new());
                // Whoever stands in for a model that can't serve does so for now, and not for as long as
                // an answer is kept.
                self.spoiled = selected.fallback_used || selected.resumed;
                self.selected = Some(selected.clone());
            }
            // Whoever is given it again pays nothing, and asks nobody.
            RunEventBody::Queued { .. }
            | RunEventBody::Loading { .. }
            | RunEventBody::Credits { .. }
            | RunEventBody::Cost { .. } => {}
            RunEventBody::Error { .. } | RunEventBody::Cancelled => self.spoil(),
            RunEventBody::ChoiceDone { finish_reason, .. } | RunEventBody::Done { finish_reason }
                if !is_whole(*finish_reason) =>
            {
                self.spoil();
            }
            RunEventBody::Done { .. } => {
                self.append(event);
                self.keep();
            }
            _ => self.append(event),
        }
    }

    /// Lets go of those who still wait; what is to be waited for until the answer is in the table, if it is to
    /// come there.
    pub(crate) fn end(self) -> Option<JoinHandle<()>> {
        self.writing
    }

    fn append(&mut self, event: &RunEventBody) {
        self.bytes += bytes_of(event);
        if self.bytes > self.gateway.0.cache.settings.max_entry_bytes() {
            self.spoil();
        }
        if !self.spoiled {
            append(&mut self.events, event.clone());
        }
    }

    fn spoil(&mut self) {
        self.spoiled = true;
        self.events = Vec::new();
    }

    /// Keeps the answer, gives it to those who wait, and has it written down.
    fn keep(&mut self) {
        let (gateway, key) = (self.gateway.clone(), self.key);
        let cache = &gateway.0.cache;
        let Some(selected) = self.selected.take().filter(|_| !self.spoiled && says_something(&self.events))
        else {
            return;
        };
        let facts = CachedFacts {
            owner: self.owner,
            asked: std::mem::take(&mut self.asked),
            model: selected.model.clone(),
            provider: selected.provider.clone(),
            expires: Timestamp::now().plus(cache.settings.ttl()),
        };
        let said = Said { selected, events: std::mem::take(&mut self.events) };
        let Ok(json) = serde_json::to_string(&said) else { return };
        if json.len() > cache.settings.max_entry_bytes() {
            return;
        }
        let entry = Arc::new(Entry::new(facts, said, json.len()));
        if cache.remember(key, Arc::clone(&entry), self.deletions) {
            let (gateway, entry, deletions) = (gateway.clone(), Arc::clone(&entry), self.deletions);
            let writing = async move { write(&gateway, key, &entry, &json, deletions).await };
            self.writing = Some(background::spawn(writing));
        }
        if let Some(leader) = self.leader.take() {
            leader.land(entry);
        }
    }
}

async fn write(gateway: &Gateway, key: Key, entry: &Entry, json: &str, deletions: u64) {
    let (answers, key) = (gateway.store().cached_answers(), key.to_string());
    let written = match answers.put(&key, &entry.facts, json).await {
        // What was deleted meanwhile may not have been listed yet.
        Ok(true) if gateway.0.cache.deletions() != deletions => answers.delete(entry.facts.owner, &key).await,
        Ok(false) => return tracing::debug!(bytes = json.len(), "an answer is too large for the table"),
        written => written.map(drop),
    };
    if let Err(error) = written {
        tracing::warn!(%error, "an answer can't be kept in the table; it is in memory alone");
    }
}

/// Whether there is something that a client would call an answer. A model that says nothing may have failed.
fn says_something(events: &[RunEventBody]) -> bool {
    events.iter().any(|event| match event {
        RunEventBody::Delta { text, .. } => !text.is_empty(),
        RunEventBody::ToolCall { .. } | RunEventBody::Embedding { .. } => true,
        _ => false,
    })
}

/// What an event takes, about.
fn bytes_of(event: &RunEventBody) -> usize {
    match event {
        RunEventBody::Delta { text, logprobs, .. } => text.len() + 64 * logprobs.len(),
        RunEventBody::Reasoning { added, .. } => {
            let sealed = [&added.signature, &added.encrypted];
            added.text.len() + sealed.into_iter().flatten().map(String::len).sum::<usize>()
        }
        RunEventBody::ToolCall { arguments, .. } => arguments.len(),
        RunEventBody::Embedding { vector, .. } => 4 * vector.len(),
        _ => 0,
    }
}
