//! The audit log: every change and every refusal is an entry of a hash chain.
//!
//! - `chain`: the hashes. Each process appends to chains of its own, so that appending waits for nobody.
//! - `repeats`: like refusals of a minute are one entry with their number.
//! - `seal`: signed lists of the chains' heads, by which a cut-off end of a chain is detected.
//! - `verify`: checks chains and seals. `query`: pages of the entries.

mod chain;
mod query;
mod repeats;
mod seal;
mod verify;

#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    fmt::Display,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use hearth_domain::{
    Action, AuditDay, AuditEntry, AuditEvent, AuditId, AuditOwner, OrganisationId, Timestamp, UserId,
};
use hearth_settings::AuditSettings;
use hearth_store::{Store, StoreError};
use hearth_wire::ApiError;
use tokio::sync::Mutex as AsyncMutex;

use crate::{Gateway, background::Background, error, keys::GatewayKeys};
use chain::Chain;
use repeats::Repeats;

pub use verify::{AuditBreak, BreakKind, Verification, VerifyRequest};

/// Interval at which a process that runs on seals the log.
const SEAL_INTERVAL: Duration = Duration::from_secs(60);
/// Owners whose chains a process has in memory. More of them begin new chains, which costs nothing but a few bytes.
const CHAIN_MAX_COUNT: usize = 4096;

/// The audit log.
#[derive(Debug)]
pub struct Audit {
    store: Store,
    keys: Arc<GatewayKeys>,
    background: Background,
    settings: AuditSettings,
    /// The chains that this process appends to.
    chains: Mutex<HashMap<AuditOwner, Arc<AsyncMutex<ChainSlot>>>>,
    repeats: Repeats,
}

/// The chain of an owner. It is taken out while a record is written: after a write whose outcome is unknown the next
/// record begins another chain.
#[derive(Debug, Default)]
struct ChainSlot {
    chain: Option<Chain>,
    last: Option<AuditId>,
}

impl Gateway {
    /// The audit log.
    #[must_use]
    pub fn audit(&self) -> &Arc<Audit> {
        &self.0.audit
    }
}

impl Audit {
    pub(crate) fn new(
        store: Store,
        keys: Arc<GatewayKeys>,
        settings: AuditSettings,
        background: Background,
    ) -> Self {
        Self { store, keys, background, settings, chains: Mutex::default(), repeats: Repeats::default() }
    }

    /// Writes the entry of a change that was made. It is durable when this returns.
    ///
    /// # Errors
    /// `internal` if it can't be written: then the change must not be acknowledged.
    #[crate::boxed_future]
    pub async fn record(&self, event: AuditEvent) -> Result<AuditId, ApiError> {
        match self.append(event.clone()).await {
            Ok(id) => Ok(id),
            Err(error) => {
                note_lost(&event, &error);
                let failure = "the change was made, but its entry in the audit log can't be written, so it isn't confirmed";
                let advice = "; look at the thing's state, and at the gateway's log";
                Err(error::of_store(failure, error.disk_problem(), advice))
            }
        }
    }

    /// Writes the entry of a change that a command has made on the store itself, without a request. `operator`: the
    /// owner of the store.
    ///
    /// # Errors
    /// As of [`Audit::record`].
    pub async fn record_command(
        &self,
        command: &str,
        action: Action,
        operator: UserId,
        resource: impl Display,
    ) -> Result<AuditId, ApiError> {
        let event = AuditEvent {
            user: Some(operator),
            organisation: Some(OrganisationId::of_operator(operator)),
            resources: vec![resource.to_string()],
            ..AuditEvent::new(action.as_str(), command)
        };
        self.record(event).await
    }

    /// Writes the entry of a refusal or a failure, or counts it, if a like one was written within a minute.
    pub async fn record_refusal(self: &Arc<Self>, event: AuditEvent) {
        let due = self.repeats.note(event);
        if due.is_empty() {
            return;
        }
        let audit = Arc::clone(self);
        self.background.spawn_or_wait(async move { audit.append_all(due).await }).await;
    }

    /// Seals the log each minute, and writes the counts of refusals. Ends never.
    #[crate::boxed_future]
    pub async fn maintain(&self) {
        loop {
            tokio::time::sleep(SEAL_INTERVAL).await;
            self.append_all(self.repeats.take(true)).await;
            self.seal_all().await;
        }
    }

    /// Writes all counts of refusals, and seals the log: before the process ends, and in the function `sweep`.
    #[crate::boxed_future]
    pub async fn finish(&self) {
        self.append_all(self.repeats.take(false)).await;
        self.seal_all().await;
    }

    async fn append_all(&self, events: Vec<AuditEvent>) {
        for event in events {
            if let Err(error) = self.append(event.clone()).await {
                note_lost(&event, &error);
            }
        }
    }

    async fn append(&self, event: AuditEvent) -> Result<AuditId, StoreError> {
        let owner = event.owner();
        let slot = self.slot(owner);
        // Records of one chain are written one after the other.
        let mut slot = slot.lock().await;
        let id = AuditId::after(slot.last);
        let day = chain::day_of(id);
        let mut chain = match slot.chain.take() {
            Some(chain) if chain.day == day => chain,
            _ => Chain::begin(owner, day),
        };
        slot.last = Some(id);
        let entry = AuditEntry { id, at: id.created_at(), event };
        let text =
            serde_json::to_string(&entry).map_err(|error| StoreError::Unreadable(error.to_string()))?;
        let record = chain.next_record(text);
        self.store.audit().append(owner, id, &record, self.expiry(day)).await?;
        chain.advance(record);
        slot.chain = Some(chain);
        Ok(id)
    }

    /// The time at which the entries of a day expire.
    fn expiry(&self, day: AuditDay) -> Timestamp {
        day.plus(1 + i64::from(self.settings.retention_days)).start()
    }

    fn slot(&self, owner: AuditOwner) -> Arc<AsyncMutex<ChainSlot>> {
        let mut chains = self.chains.lock().unwrap_or_else(PoisonError::into_inner);
        if chains.len() >= CHAIN_MAX_COUNT && !chains.contains_key(&owner) {
            chains.retain(|_, slot| Arc::strong_count(slot) > 1);
        }
        Arc::clone(chains.entry(owner).or_default())
    }
}

/// Logs an event that has no entry, whole: it has no secret.
fn note_lost(event: &AuditEvent, error: &StoreError) {
    metrics::counter!("hearth_audit_entries_lost_total").increment(1);
    let event = serde_json::to_string(event).unwrap_or_default();
    tracing::error!(%error, event, "an entry of the audit log can't be written");
}
