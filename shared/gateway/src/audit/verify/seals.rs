//! The chain of seals, and an index of the heads that they have.

use std::collections::{BTreeMap, HashMap};

use hearth_auth::Keys;
use hearth_domain::{AuditChainId, AuditDay, AuditOwner, Timestamp};
use hearth_store::{StoreError, audit::SealRecord};

use super::{AuditBreak, BreakKind};
use crate::audit::{
    chain::seal_hash,
    seal::{Head, SEAL_OVERLAP_WINDOW, Seal},
};

/// The heads of all seals.
#[derive(Debug, Default)]
pub(in crate::audit) struct SealIndex {
    /// The hash of each sealed record.
    sealed: HashMap<(AuditChainId, u64), String>,
    /// The last sealed record of each chain, by day.
    last_heads: BTreeMap<AuditDay, BTreeMap<AuditChainId, Head>>,
    /// Number and hash of the last seal.
    pub(in crate::audit) last: Option<(u64, String)>,
    hashes: BTreeMap<u64, String>,
    last_at: Option<Timestamp>,
}

impl SealIndex {
    /// Checks the seals that are stored, oldest first, and the copy of the last one.
    pub(in crate::audit) fn check(
        owner: AuditOwner,
        seals: &[Result<SealRecord, StoreError>],
        last: Option<&SealRecord>,
        keys: &Keys,
        now: Timestamp,
    ) -> Result<Self, Box<AuditBreak>> {
        let mut index = Self::default();
        let mut before: Option<(u64, String)> = None;
        for record in seals {
            let record = record.as_ref().map_err(|error| {
                let number = before.as_ref().map(|(number, _)| number + 1);
                AuditBreak::of_seal(BreakKind::Unreadable, number, format!("a seal can't be read: {error}"))
            })?;
            let seal = check_seal(owner, record, keys)?;
            check_order(&seal, before.as_ref(), now)?;
            before = Some((record.number, record.hash.clone()));
            index.add(record, seal);
        }
        index.check_last(owner, last, keys, now)?;
        Ok(index)
    }

    fn add(&mut self, record: &SealRecord, seal: Seal) {
        self.hashes.insert(record.number, record.hash.clone());
        self.last = Some((record.number, record.hash.clone()));
        self.last_at = Some(seal.at);
        for head in seal.heads {
            self.sealed.insert((head.chain, head.number), head.hash.clone());
            let of_day = self.last_heads.entry(head.day).or_default();
            if of_day.get(&head.chain).is_none_or(|noted| noted.number < head.number) {
                of_day.insert(head.chain, head);
            }
        }
    }

    /// Checks the copy of the last seal, which stays when the seals have expired.
    fn check_last(
        &mut self,
        owner: AuditOwner,
        last: Option<&SealRecord>,
        keys: &Keys,
        now: Timestamp,
    ) -> Result<(), Box<AuditBreak>> {
        let listed = self.last.clone();
        let Some(last) = last else {
            return match listed {
                Some((number, _)) => {
                    let message = "the log has seals, but not the copy of the last one";
                    Err(AuditBreak::of_seal(BreakKind::Removed, Some(number), message))
                }
                None => Ok(()),
            };
        };
        let seal = check_seal(owner, last, keys)?;
        match listed {
            Some((number, hash)) if number == last.number && hash == last.hash => Ok(()),
            // A seal was stored between the two reads.
            Some((number, _)) if number == last.number + 1 && seal.at.until(now) < SEAL_OVERLAP_WINDOW => {
                Ok(())
            }
            Some((number, _)) if number >= last.number => {
                let message = "the copy of the last seal is an older one";
                Err(AuditBreak::of_seal(BreakKind::Changed, Some(last.number), message))
            }
            None if seal.expires <= now.unix() => {
                self.last = Some((last.number, last.hash.clone()));
                self.last_at = Some(seal.at);
                Ok(())
            }
            _ => {
                let message = format!("the seals before number {} are missing, or this one is", last.number);
                Err(AuditBreak::of_seal(BreakKind::Removed, Some(last.number), message))
            }
        }
    }

    /// Checks that the log still has a seal that was noted down elsewhere.
    pub(in crate::audit) fn require(&self, seal: Option<&(u64, String)>) -> Result<(), Box<AuditBreak>> {
        let Some((number, hash)) = seal else { return Ok(()) };
        let is_last = self.last.as_ref().is_some_and(|last| last == &(*number, hash.clone()));
        if is_last || self.hashes.get(number) == Some(hash) {
            return Ok(());
        }
        let (kind, message) = match self.hashes.get(number) {
            Some(_) => (BreakKind::Changed, format!("seal {number} has another hash")),
            None => (BreakKind::Removed, format!("the log has no seal {number}")),
        };
        Err(AuditBreak::of_seal(kind, Some(*number), message))
    }

    /// The first day with sealed records that haven't expired.
    pub(in crate::audit) fn first_day(&self, now: Timestamp) -> Option<AuditDay> {
        let is_stored =
            |heads: &BTreeMap<AuditChainId, Head>| heads.values().any(|head| head.expires > now.unix());
        self.last_heads.iter().find(|(_, heads)| is_stored(heads)).map(|(day, _)| *day)
    }

    /// The hash that a seal has for a record, if it is the head of a chain in one.
    pub(super) fn hash_of(&self, chain: AuditChainId, number: u64) -> Option<&str> {
        self.sealed.get(&(chain, number)).map(String::as_str)
    }

    /// The last sealed records of the chains of a day.
    pub(super) fn last_heads(&self, day: AuditDay) -> impl Iterator<Item = &Head> {
        self.last_heads.get(&day).into_iter().flat_map(BTreeMap::values)
    }

    /// The last sealed record of a chain.
    pub(super) fn last_head(&self, day: AuditDay, chain: AuditChainId) -> Option<&Head> {
        self.last_heads.get(&day)?.get(&chain)
    }

    /// True if every record of that time should have a seal.
    pub(super) fn covers(&self, at: Timestamp) -> bool {
        self.last_at.is_some_and(|sealed_at| at.plus(2 * SEAL_OVERLAP_WINDOW) < sealed_at)
    }
}

/// Checks one seal by itself.
fn check_seal(owner: AuditOwner, record: &SealRecord, keys: &Keys) -> Result<Seal, Box<AuditBreak>> {
    let number = Some(record.number);
    let changed = |message: &str| AuditBreak::of_seal(BreakKind::Changed, number, message);
    let seal = Seal::read(record).map_err(|error| {
        AuditBreak::of_seal(BreakKind::Unreadable, number, format!("the seal can't be read: {error}"))
    })?;
    if seal_hash(owner, record.number, &record.seal) != record.hash || seal.number != record.number {
        return Err(changed("the seal's hash isn't the hash of its text"));
    }
    if seal.owner != owner {
        return Err(changed("the seal is of another log"));
    }
    if !keys.verify_audit(&record.hash, &record.signature) {
        return Err(changed("the seal isn't signed with the key of this gateway's secret"));
    }
    Ok(seal)
}

/// Checks that a seal follows the one before it. The first that is stored may follow one that has expired.
fn check_order(seal: &Seal, before: Option<&(u64, String)>, now: Timestamp) -> Result<(), Box<AuditBreak>> {
    let removed = || {
        let message = format!("seal {} is missing", seal.number - 1);
        AuditBreak::of_seal(BreakKind::Removed, Some(seal.number - 1), message)
    };
    match (before, &seal.previous) {
        (None, None) if seal.number == 1 => Ok(()),
        (None, Some(_)) if seal.previous_expires.is_some_and(|at| at <= now.unix()) => Ok(()),
        (Some((number, hash)), Some(previous)) if *number + 1 == seal.number => {
            if hash == previous {
                return Ok(());
            }
            let message = "the seal before this one was replaced";
            Err(AuditBreak::of_seal(BreakKind::Changed, Some(seal.number), message))
        }
        _ => Err(removed()),
    }
}
