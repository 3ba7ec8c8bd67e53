//! A log in memory, and changes of it that must be found.

use std::collections::BTreeMap;

use hearth_auth::Keys;
use hearth_domain::{AuditDay, AuditEntry, AuditEvent, AuditId, AuditOwner, OrganisationId, Timestamp};
use hearth_store::audit::{AuditRecord, SealRecord, StoredAuditRecord};
use proptest::prelude::*;

use super::{
    chain::{Chain, record_hash, seal_hash},
    seal::{Head, SEAL_OVERLAP_WINDOW, Seal},
    verify::{AuditBreak, BreakKind, DayCheck, SealIndex},
};

const MINUTE_MILLIS: u64 = 60_000;
const DAY_SECONDS: i64 = 24 * 3600;

/// A log as the store has it, of one owner and day.
#[derive(Clone)]
struct Log {
    owner: AuditOwner,
    keys: Keys,
    began: u64,
    /// Records by id.
    records: BTreeMap<String, AuditRecord>,
    seals: Vec<SealRecord>,
    last: Option<SealRecord>,
    now: Timestamp,
}

impl Log {
    /// Writes records of several processes, a minute apart, with a seal after each group.
    fn write(processes: usize, groups: &[Vec<usize>]) -> Self {
        let owner = AuditOwner::Organisation(OrganisationId::new());
        let keys = Keys::derive(&Keys::generate_secret()).unwrap();
        let day = AuditDay::of("2026-05-01T00:00:00Z".parse().unwrap());
        let began = day.start().unix_millis() + 3600 * 1000;
        let mut chains: Vec<Chain> = (0..processes).map(|_| Chain::begin(owner, day)).collect();
        let mut log = Self {
            owner,
            keys,
            began,
            records: BTreeMap::new(),
            seals: Vec::new(),
            last: None,
            now: Timestamp::from_unix_millis(began),
        };
        let mut minutes = 0;
        for group in groups {
            for &process in group {
                minutes += 1;
                let (id, text) = log.entry(minutes);
                let record = chains[process].next_record(text);
                chains[process].advance(record.clone());
                log.records.insert(id.to_string(), record);
            }
            minutes += 1;
            let heads = chains.iter().filter(|chain| chain.number > 0);
            let heads = heads.map(|chain| Head {
                day,
                chain: chain.id,
                number: chain.number,
                hash: chain.head.clone(),
                expires: i64::MAX,
            });
            log.seal(heads.collect(), minutes);
        }
        log.now = Timestamp::from_unix_millis(began + (minutes + 120) * MINUTE_MILLIS);
        log
    }

    fn day(&self) -> AuditDay {
        AuditDay::of(Timestamp::from_unix_millis(self.began))
    }

    fn entry(&self, minutes: u64) -> (AuditId, String) {
        let id = AuditId::first_of(Timestamp::from_unix_millis(self.began + minutes * MINUTE_MILLIS));
        let AuditOwner::Organisation(organisation) = self.owner else { unreachable!() };
        let event = AuditEvent {
            organisation: Some(organisation),
            ..AuditEvent::new("manage_tokens", format!("op{minutes}"))
        };
        (id, serde_json::to_string(&AuditEntry { id, at: id.created_at(), event }).unwrap())
    }

    fn seal(&mut self, heads: Vec<Head>, minutes: u64) {
        let number = self.seals.len() as u64 + 1;
        let seal = Seal {
            owner: self.owner,
            number,
            at: Timestamp::from_unix_millis(self.began + minutes * MINUTE_MILLIS),
            previous: self.last.as_ref().map(|last| last.hash.clone()),
            previous_expires: self.last.as_ref().map(|_| self.day().start().unix() + 10 * DAY_SECONDS),
            expires: self.day().start().unix() + 10 * DAY_SECONDS,
            heads,
        };
        let text = serde_json::to_string(&seal).unwrap();
        let hash = seal_hash(self.owner, number, &text);
        let record = SealRecord { number, signature: self.keys.sign_audit(&hash), hash, seal: text };
        self.seals.push(record.clone());
        self.last = Some(record);
    }

    fn verify(&self) -> Result<u64, Box<AuditBreak>> {
        let seals: Vec<_> = self.seals.iter().cloned().map(Ok).collect();
        let index = SealIndex::check(self.owner, &seals, self.last.as_ref(), &self.keys, self.now)?;
        let mut check = DayCheck::new(self.owner, self.day(), &index, self.now);
        for (id, record) in &self.records {
            let stored = StoredAuditRecord { id: id.clone(), record: Ok(record.clone()), expires: None };
            check.next(&stored)?;
        }
        check.finish().map(|()| check.records)
    }

    fn kind(&self) -> Option<BreakKind> {
        self.verify().err().map(|first_break| first_break.kind)
    }

    fn id(&self, index: usize) -> String {
        self.records.keys().nth(index % self.records.len()).unwrap().clone()
    }
}

/// A change of a stored log, by a writer of the table who doesn't have the gateway's secret.
#[derive(Debug, Clone)]
enum Tampering {
    /// Writes another text into an entry; with `rehashed` also the hash of it.
    Change {
        record: usize,
        rehashed: bool,
    },
    /// Writes an entry anew, and every later record of its chain with new hashes.
    Rewrite {
        record: usize,
    },
    Remove {
        record: usize,
    },
    /// Removes the last records.
    CutOff {
        count: usize,
    },
    RemoveChain {
        record: usize,
    },
    Swap {
        one: usize,
        other: usize,
    },
    /// Adds a record to the end of a chain whose time is sealed, with a valid hash.
    Append {
        record: usize,
    },
    /// Adds a chain of one record, with an old time.
    AddChain,
    ChangeSeal {
        seal: usize,
    },
    RemoveSeal {
        seal: usize,
    },
    CutOffSeals {
        count: usize,
    },
    /// Removes the last seals, and brings back the copy of an earlier one.
    RollBack {
        count: usize,
    },
}

fn tampering() -> impl Strategy<Value = Tampering> {
    let place = 0..1000_usize;
    prop_oneof![
        (place.clone(), any::<bool>()).prop_map(|(record, rehashed)| Tampering::Change { record, rehashed }),
        place.clone().prop_map(|record| Tampering::Rewrite { record }),
        place.clone().prop_map(|record| Tampering::Remove { record }),
        (1..5_usize).prop_map(|count| Tampering::CutOff { count }),
        place.clone().prop_map(|record| Tampering::RemoveChain { record }),
        (place.clone(), place.clone()).prop_map(|(one, other)| Tampering::Swap { one, other }),
        place.clone().prop_map(|record| Tampering::Append { record }),
        Just(Tampering::AddChain),
        place.clone().prop_map(|seal| Tampering::ChangeSeal { seal }),
        place.prop_map(|seal| Tampering::RemoveSeal { seal }),
        (1..3_usize).prop_map(|count| Tampering::CutOffSeals { count }),
        (1..3_usize).prop_map(|count| Tampering::RollBack { count }),
    ]
}

impl Tampering {
    /// Changes the log. Returns false if the change would leave it as it is.
    fn apply(&self, log: &mut Log) -> bool {
        match *self {
            Self::Change { record, rehashed } => {
                let id = log.id(record);
                let record = log.records.get_mut(&id).unwrap();
                record.entry = record.entry.replace("manage_tokens", "read_models");
                if rehashed {
                    record.hash = record_hash(record.chain, record.number, &record.previous, &record.entry);
                }
                true
            }
            Self::Rewrite { record } => {
                let id = log.id(record);
                let chain = log.records[&id].chain;
                let mut previous: Option<String> = None;
                for (other, record) in log.records.range_mut(id.clone()..) {
                    if record.chain != chain {
                        continue;
                    }
                    if *other == id {
                        record.entry = record.entry.replace("manage_tokens", "read_models");
                    }
                    if let Some(previous) = previous {
                        record.previous = previous;
                    }
                    record.hash = record_hash(record.chain, record.number, &record.previous, &record.entry);
                    previous = Some(record.hash.clone());
                }
                true
            }
            Self::Remove { record } => log.records.remove(&log.id(record)).is_some(),
            Self::CutOff { count } => {
                (0..count).for_each(|_| drop(log.records.pop_last()));
                true
            }
            Self::RemoveChain { record } => {
                let chain = log.records[&log.id(record)].chain;
                log.records.retain(|_, record| record.chain != chain);
                true
            }
            Self::Swap { one, other } => {
                let (one, other) = (log.id(one), log.id(other));
                let (first, second) = (log.records[&one].clone(), log.records[&other].clone());
                log.records.insert(one.clone(), second);
                log.records.insert(other.clone(), first);
                one != other
            }
            Self::Append { record } => {
                let chain = log.records[&log.id(record)].chain;
                let last = log
                    .records
                    .values()
                    .filter(|record| record.chain == chain)
                    .max_by_key(|record| record.number);
                let last = last.unwrap();
                let before =
                    log.records.iter().find(|(_, record)| record.hash == last.hash).unwrap().0.clone();
                let at = before.parse::<AuditId>().unwrap().created_at();
                let sealed_at = Seal::read(log.seals.last().unwrap()).unwrap().at;
                if at.plus(2 * SEAL_OVERLAP_WINDOW) >= sealed_at {
                    return false;
                }
                let id = AuditId::last_of(at);
                let (_, text) = log.entry(0);
                let mut entry: AuditEntry = serde_json::from_str(&text).unwrap();
                (entry.id, entry.at) = (id, id.created_at());
                let text = serde_json::to_string(&entry).unwrap();
                let hash = record_hash(chain, last.number + 1, &last.hash, &text);
                let record = AuditRecord {
                    entry: text,
                    chain,
                    number: last.number + 1,
                    previous: last.hash.clone(),
                    hash,
                };
                log.records.insert(id.to_string(), record);
                true
            }
            Self::AddChain => {
                let (id, text) = log.entry(0);
                let record = Chain::begin(log.owner, log.day()).next_record(text);
                log.records.insert(id.to_string(), record);
                true
            }
            Self::ChangeSeal { seal } => {
                let index = seal % log.seals.len();
                let seal = &mut log.seals[index];
                let before = seal.seal.clone();
                seal.seal = before.replace("\"number\":1", "\"number\":7");
                seal.hash = seal_hash(log.owner, seal.number, &seal.seal);
                let has_changed = seal.seal != before;
                if index + 1 == log.seals.len() {
                    log.last = log.seals.last().cloned();
                }
                has_changed
            }
            Self::RemoveSeal { seal } => {
                log.seals.remove(seal % log.seals.len());
                true
            }
            Self::CutOffSeals { count } => {
                log.seals.truncate(log.seals.len().saturating_sub(count));
                true
            }
            Self::RollBack { count } => {
                let left = log.seals.len().saturating_sub(count);
                let removed_is_noticed = left > 0;
                log.seals.truncate(left);
                log.last = log.seals.last().cloned();
                removed_is_noticed
            }
        }
    }
}

fn groups() -> impl Strategy<Value = Vec<Vec<usize>>> {
    // Far enough apart that the time of the first groups is sealed for good.
    prop::collection::vec(prop::collection::vec(0..3_usize, 12..24), 3..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_tampering_is_found(groups in groups(), tampering in tampering()) {
        let mut log = Log::write(3, &groups);
        let count: usize = groups.iter().map(Vec::len).sum();
        prop_assert_eq!(log.verify(), Ok(count as u64));
        let noted = log.last.as_ref().map(|last| (last.number, last.hash.clone()));
        if tampering.apply(&mut log) {
            let result = log.verify();
            match tampering {
                // The seals that are left are whole. The seal that was noted down elsewhere isn't there, and neither is
                // a seal for the last records.
                Tampering::RollBack { .. } => {
                    let seals: Vec<_> = log.seals.iter().cloned().map(Ok).collect();
                    let index = SealIndex::check(log.owner, &seals, log.last.as_ref(), &log.keys, log.now).unwrap();
                    prop_assert!(index.require(noted.as_ref()).is_err());
                }
                _ => prop_assert!(result.is_err(), "{tampering:?} was not found"),
            }
        }
    }
}

#[test]
fn first_break_is_named_with_its_kind_and_place() {
    let log = || Log::write(2, &[vec![0, 1, 0, 1], vec![0, 0, 1]]);
    assert_eq!(log().verify(), Ok(7));
    for (tampering, kind) in [
        (Tampering::Change { record: 2, rehashed: false }, BreakKind::Changed),
        (Tampering::Change { record: 2, rehashed: true }, BreakKind::Changed),
        (Tampering::Rewrite { record: 2 }, BreakKind::Changed),
        (Tampering::Remove { record: 0 }, BreakKind::Removed),
        (Tampering::CutOff { count: 1 }, BreakKind::Removed),
        (Tampering::RemoveChain { record: 0 }, BreakKind::Removed),
        (Tampering::RemoveSeal { seal: 0 }, BreakKind::Removed),
        (Tampering::CutOffSeals { count: 1 }, BreakKind::Removed),
    ] {
        let mut log = log();
        assert!(tampering.apply(&mut log));
        assert_eq!(log.kind(), Some(kind), "{tampering:?}");
    }
    let mut log = log();
    let removed = log.records[&log.id(2)].clone();
    assert!(Tampering::Remove { record: 2 }.apply(&mut log));
    let first_break = log.verify().unwrap_err();
    assert_eq!((first_break.chain, first_break.number), (Some(removed.chain), Some(removed.number + 1)));
}

#[test]
fn records_after_the_last_seal_are_counted_as_unsealed() {
    let mut log = Log::write(1, &[vec![0, 0]]);
    let (id, text) = log.entry(4);
    let record = Chain::begin(log.owner, log.day()).next_record(text);
    log.records.insert(id.to_string(), record);
    assert_eq!(log.verify(), Ok(3));
}

#[test]
fn seals_of_another_secret_are_refused() {
    let mut log = Log::write(1, &[vec![0]]);
    log.keys = Keys::derive(&Keys::generate_secret()).unwrap();
    assert_eq!(log.kind(), Some(BreakKind::Changed));
}

#[test]
fn log_is_intact_after_its_oldest_seals_and_records_have_expired() {
    let mut log = Log::write(1, &[vec![0], vec![0], vec![0]]);
    log.seals.remove(0);
    assert_eq!(log.kind(), Some(BreakKind::Removed));
    log.now = log.day().plus(11).start();
    assert_eq!(log.verify(), Ok(3));
    log.seals.clear();
    assert_eq!(log.kind(), None, "the copy of the last seal stays");
}
