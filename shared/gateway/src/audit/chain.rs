//! Hash chains: each record of the log has the hash of the record before it.
//!
//! A chain has the entries that one process has written about one owner on one day. Its records are numbered from 1.
//! Processes share no chain, so they never wait for each other.

use hearth_domain::{AuditChainId, AuditDay, AuditId, AuditOwner, hex};
use hearth_store::audit::AuditRecord;
use sha2::{Digest as _, Sha256};

/// A chain that this process appends to.
#[derive(Debug)]
pub(super) struct Chain {
    pub(super) id: AuditChainId,
    pub(super) day: AuditDay,
    /// Number of its last record; 0 before the first.
    pub(super) number: u64,
    /// Hash of its last record.
    pub(super) head: String,
}

impl Chain {
    /// Begins a chain.
    pub(super) fn begin(owner: AuditOwner, day: AuditDay) -> Self {
        let id = AuditChainId::new();
        Self { id, day, number: 0, head: chain_start(owner, day, id) }
    }

    /// The record that follows the last one.
    pub(super) fn next_record(&self, entry: String) -> AuditRecord {
        let (number, previous) = (self.number + 1, self.head.clone());
        let hash = record_hash(self.id, number, &previous, &entry);
        AuditRecord { entry, chain: self.id, number, previous, hash }
    }

    /// Notes that a record was appended.
    pub(super) fn advance(&mut self, record: AuditRecord) {
        self.number = record.number;
        self.head = record.hash;
    }
}

/// The hash before the first record of a chain: it ties the chain to its owner and its day.
pub(super) fn chain_start(owner: AuditOwner, day: AuditDay, chain: AuditChainId) -> String {
    hash(&["hearth audit chain 1", &owner.to_string(), &day.to_string(), &chain.to_string()])
}

/// The hash of a record.
pub(super) fn record_hash(chain: AuditChainId, number: u64, previous: &str, entry: &str) -> String {
    hash(&["hearth audit record 1", &chain.to_string(), &number.to_string(), previous, entry])
}

/// The hash of a seal, whose text has the hash of the seal before it.
pub(super) fn seal_hash(owner: AuditOwner, number: u64, seal: &str) -> String {
    hash(&["hearth audit seal 1", &owner.to_string(), &number.to_string(), seal])
}

/// The expected place of an entry: its id has the time, and with it the day.
pub(super) fn day_of(id: AuditId) -> AuditDay {
    AuditDay::of(id.created_at())
}

/// SHA-256 over texts of which none but the last has a line break.
fn hash(parts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            hasher.update(b"\n");
        }
        hasher.update(part.as_bytes());
    }
    hex(hasher.finalize())
}
