//! Seals: signed lists of the heads of an owner's chains.
//!
//! A chain shows that nothing before its last record was changed, but not that the last record is still there. A seal
//! has the number and the hash of each chain's last record, the hash of the seal before it, and a signature by a key
//! that is derived from the gateway's secret, which isn't in the table.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, PoisonError},
    time::Duration,
};

use hearth_domain::{AuditChainId, AuditDay, AuditId, AuditOwner, Timestamp};
use hearth_store::{
    StoreError,
    audit::{AuditRecord, SealRecord},
};
use serde::{Deserialize, Serialize};

use super::{Audit, chain::seal_hash};

/// Time before the last seal in which the next one looks for records: the clocks of processes differ, and a record is
/// written some time after its id was made.
pub(super) const SEAL_OVERLAP_WINDOW: Duration = Duration::from_secs(15 * 60);
/// Days before today in which chains are looked for that no seal has.
const LOOKBACK_DAYS: i64 = 2;
const DAY: Duration = Duration::from_secs(24 * 3600);
/// Heads in a seal: an item of DynamoDB has 400 KB.
const HEAD_MAX_COUNT: usize = 1500;

/// A seal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Seal {
    pub(super) owner: AuditOwner,
    pub(super) number: u64,
    pub(super) at: Timestamp,
    /// Hash of the seal before it; absent in the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) previous: Option<String>,
    /// When the seal before it expires, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) previous_expires: Option<i64>,
    /// When it expires itself: not before the records that it seals, nor before the seal before it.
    pub(super) expires: i64,
    /// The chains that have records since shortly before the seal before it.
    pub(super) heads: Vec<Head>,
}

/// The last record of a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    pub(super) day: AuditDay,
    pub(super) chain: AuditChainId,
    pub(super) number: u64,
    pub(super) hash: String,
    /// When the chain's records expire, in seconds since 1970.
    pub(super) expires: i64,
}

impl Seal {
    pub(super) fn read(record: &SealRecord) -> Result<Self, StoreError> {
        serde_json::from_str(&record.seal).map_err(|error| StoreError::Unreadable(error.to_string()))
    }
}

impl Audit {
    /// Seals the logs of all owners with new records.
    pub(super) async fn seal_all(&self) {
        let owners = match self.active_owners().await {
            Ok(owners) => owners,
            Err(error) => {
                return tracing::warn!(%error, "the audit log can't be sealed; the next attempt follows");
            }
        };
        for owner in owners {
            match self.seal(owner).await {
                // Another process has sealed it.
                Ok(_) | Err(StoreError::Conflict) => {}
                Err(error) => {
                    tracing::warn!(%error, %owner, "the audit log can't be sealed; the next attempt follows")
                }
            }
        }
    }

    /// The owners with records of today or of the days before.
    async fn active_owners(&self) -> Result<BTreeSet<AuditOwner>, StoreError> {
        let own = self.chains.lock().unwrap_or_else(PoisonError::into_inner).keys().copied().collect();
        let today = AuditDay::of(Timestamp::now());
        let mut owners: BTreeSet<AuditOwner> = own;
        for days in 0..=LOOKBACK_DAYS {
            owners.extend(self.store.audit().owners(today.plus(-days)).await?);
        }
        Ok(owners)
    }

    /// Seals an owner's log, if it has new records. Returns whether it had.
    async fn seal(&self, owner: AuditOwner) -> Result<bool, StoreError> {
        let last = self.store.audit().last_seal(owner).await?;
        let previous = last.as_ref().map(Seal::read).transpose()?;
        let now = Timestamp::now();
        let (heads, new) = self.heads(owner, previous.as_ref(), now).await?;
        let is_sealed = |head: &Head| {
            previous.as_ref().is_some_and(|seal| {
                seal.heads.iter().any(|sealed| sealed.chain == head.chain && sealed.number >= head.number)
            })
        };
        if heads.iter().all(is_sealed) {
            return Ok(false);
        }
        let expires = heads.iter().map(|head| head.expires);
        let expires = expires.chain(previous.as_ref().map(|seal| seal.expires)).max().unwrap_or_default();
        let number = previous.as_ref().map_or(0, |seal| seal.number) + 1;
        let seal = Seal {
            owner,
            number,
            at: now,
            previous: last.as_ref().map(|last| last.hash.clone()),
            previous_expires: previous.map(|seal| seal.expires),
            expires,
            heads,
        };
        let text = serde_json::to_string(&seal).map_err(|error| StoreError::Unreadable(error.to_string()))?;
        let hash = seal_hash(owner, number, &text);
        let keys = self.keys.get().await.map_err(|error| StoreError::Unreadable(error.to_string()))?;
        let record = SealRecord { number, signature: keys.sign_audit(&hash), hash, seal: text };
        if self.store.has_audit_archive() {
            // Before the seal: what is sealed is archived.
            let until = now.plus(DAY * self.settings.lock_days);
            self.store.archive_audit(owner, number, segment(&new, &record)?, until).await?;
        }
        let follows = last.as_ref().map(|last| last.hash.as_str());
        self.store.audit().put_seal(owner, &record, follows, Timestamp::from_unix(expires)).await?;
        Ok(true)
    }

    /// The heads of the chains with records since shortly before the last seal; and, for the archive, the records that
    /// the last seal doesn't have.
    async fn heads(
        &self,
        owner: AuditOwner,
        previous: Option<&Seal>,
        now: Timestamp,
    ) -> Result<(Vec<Head>, Vec<AuditRecord>), StoreError> {
        let overlap = i64::try_from(SEAL_OVERLAP_WINDOW.as_secs()).unwrap_or_default();
        let today = AuditDay::of(now);
        let since = match previous {
            Some(seal) => Timestamp::from_unix(seal.at.unix() - overlap),
            None => today.plus(-LOOKBACK_DAYS).start(),
        };
        let sealed: BTreeMap<AuditChainId, u64> =
            previous.iter().flat_map(|seal| &seal.heads).map(|head| (head.chain, head.number)).collect();
        let (mut heads, mut new) = (BTreeMap::new(), Vec::new());
        // A clock that is ahead has begun the next day already.
        let until = AuditDay::of(now.plus(SEAL_OVERLAP_WINDOW));
        let range = (AuditId::first_of(since), AuditId::last_of(now.plus(SEAL_OVERLAP_WINDOW)));
        let mut day = AuditDay::of(since);
        while day <= until {
            let mut after = None;
            loop {
                let page = self.store.audit().page(owner, day, range, after, None).await?;
                for stored in page.records {
                    let Ok(record) = stored.record else { continue };
                    let is_new = sealed.get(&record.chain).is_none_or(|number| *number < record.number);
                    if is_new && self.store.has_audit_archive() {
                        new.push(record.clone());
                    }
                    let expires = stored.expires.unwrap_or(i64::MAX);
                    let head =
                        Head { day, chain: record.chain, number: record.number, hash: record.hash, expires };
                    note_head(&mut heads, head);
                }
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            day = day.plus(1);
        }
        if let Some(head) = self.own_head(owner).await {
            note_head(&mut heads, head);
        }
        let mut heads: Vec<Head> = heads.into_values().collect();
        if heads.len() > HEAD_MAX_COUNT {
            // Chains that are sealed already make room for the others; the next seal has the rest.
            heads.sort_by_key(|head| sealed.get(&head.chain) == Some(&head.number));
            heads.truncate(HEAD_MAX_COUNT);
        }
        Ok((heads, new))
    }

    /// The head of this process' own chain: it is sealed even if the clock was set back.
    async fn own_head(&self, owner: AuditOwner) -> Option<Head> {
        let slot = self.chains.lock().unwrap_or_else(PoisonError::into_inner).get(&owner).map(Arc::clone)?;
        let slot = slot.lock().await;
        let chain = slot.chain.as_ref().filter(|chain| chain.number > 0)?;
        Some(Head {
            day: chain.day,
            chain: chain.id,
            number: chain.number,
            hash: chain.head.clone(),
            expires: self.expiry(chain.day).unix(),
        })
    }
}

/// A sealed part of the log: a record in each line, and the seal in the last one.
fn segment(records: &[AuditRecord], seal: &SealRecord) -> Result<String, StoreError> {
    let mut lines = String::new();
    for record in records {
        lines.push_str(
            &serde_json::to_string(record).map_err(|error| StoreError::Unreadable(error.to_string()))?,
        );
        lines.push('\n');
    }
    lines.push_str(&serde_json::to_string(seal).map_err(|error| StoreError::Unreadable(error.to_string()))?);
    lines.push('\n');
    Ok(lines)
}

fn note_head(heads: &mut BTreeMap<AuditChainId, Head>, head: Head) {
    match heads.get(&head.chain) {
        Some(noted) if noted.number >= head.number => {}
        _ => drop(heads.insert(head.chain, head)),
    }
}
