//! The records of one day, in the order of their ids.

use std::collections::HashMap;

use hearth_domain::{AuditChainId, AuditDay, AuditEntry, AuditOwner, Timestamp};
use hearth_store::audit::{AuditRecord, StoredAuditRecord};

use super::{AuditBreak, BreakKind, SealIndex};
use crate::audit::chain::{chain_start, day_of, record_hash};

/// The check of one day's records, one after the other.
#[derive(Debug)]
pub(in crate::audit) struct DayCheck<'a> {
    owner: AuditOwner,
    day: AuditDay,
    seals: &'a SealIndex,
    now: Timestamp,
    /// Number and hash of the last record of each chain so far.
    chains: HashMap<AuditChainId, (u64, String)>,
    /// Records so far.
    pub(in crate::audit) records: u64,
    /// Records so far that no seal has.
    pub(in crate::audit) unsealed: u64,
}

impl<'a> DayCheck<'a> {
    pub(in crate::audit) fn new(
        owner: AuditOwner,
        day: AuditDay,
        seals: &'a SealIndex,
        now: Timestamp,
    ) -> Self {
        Self { owner, day, seals, now, chains: HashMap::new(), records: 0, unsealed: 0 }
    }

    /// Chains so far.
    pub(in crate::audit) fn chain_count(&self) -> u64 {
        self.chains.len() as u64
    }

    /// Checks the next record.
    pub(in crate::audit) fn next(&mut self, stored: &StoredAuditRecord) -> Result<(), Box<AuditBreak>> {
        self.records += 1;
        let day = Some(self.day);
        let broken = |kind, record: Option<&AuditRecord>, message: &str| {
            let (chain, number) = (record.map(|record| record.chain), record.map(|record| record.number));
            let (id, message) = (Some(stored.id.clone()), message.to_owned());
            Box::new(AuditBreak { kind, day, chain, number, id, message })
        };
        let unreadable = |error: String| broken(BreakKind::Unreadable, None, &error);
        let record = stored.record.as_ref().map_err(|error| unreadable(error.to_string()))?;
        let broken = |kind, message: &str| broken(kind, Some(record), message);
        let (last_number, last_hash) = match self.chains.get(&record.chain) {
            Some((number, hash)) => (*number, hash.clone()),
            None => (0, chain_start(self.owner, self.day, record.chain)),
        };
        if record_hash(record.chain, record.number, &record.previous, &record.entry) != record.hash {
            return Err(broken(BreakKind::Changed, "the entry isn't the one that its hash was made of"));
        }
        if record.number <= last_number {
            return Err(broken(
                BreakKind::Reordered,
                "the chain has a record of this number before this one",
            ));
        }
        if record.number > last_number + 1 {
            let message = format!(
                "the records from {} to {} of the chain are missing",
                last_number + 1,
                record.number - 1
            );
            return Err(broken(BreakKind::Removed, &message));
        }
        if record.previous != last_hash {
            return Err(broken(BreakKind::Changed, "the record before this one in the chain was replaced"));
        }
        let entry: AuditEntry =
            serde_json::from_str(&record.entry).map_err(|error| unreadable(error.to_string()))?;
        let is_at_its_place = entry.id.to_string() == stored.id
            && entry.at == entry.id.created_at()
            && day_of(entry.id) == self.day
            && entry.event.owner() == self.owner;
        if !is_at_its_place {
            return Err(broken(BreakKind::Inserted, "the entry was written at another place of the log"));
        }
        if let Some(hash) = self.seals.hash_of(record.chain, record.number)
            && hash != record.hash
        {
            return Err(broken(BreakKind::Changed, "a seal has another hash for this record"));
        }
        if self.seals.last_head(self.day, record.chain).is_none_or(|head| head.number < record.number) {
            if self.seals.covers(entry.at) {
                return Err(broken(BreakKind::Inserted, "the record was added after its time was sealed"));
            }
            self.unsealed += 1;
        }
        self.chains.insert(record.chain, (record.number, record.hash.clone()));
        Ok(())
    }

    /// Checks that all sealed records were there.
    pub(in crate::audit) fn finish(&self) -> Result<(), Box<AuditBreak>> {
        for head in self.seals.last_heads(self.day) {
            let last = self.chains.get(&head.chain).map_or(0, |(number, _)| *number);
            if last < head.number && head.expires > self.now.unix() {
                return Err(Box::new(AuditBreak {
                    kind: BreakKind::Removed,
                    day: Some(self.day),
                    chain: Some(head.chain),
                    number: Some(last + 1),
                    id: None,
                    message: format!(
                        "the records from {} to {} of the chain are missing",
                        last + 1,
                        head.number
                    ),
                }));
            }
        }
        Ok(())
    }
}
