//! The policy of the model folder: decides what to remove, without I/O.

use std::time::Duration;

use hearth_domain::Timestamp;
use hearth_settings::StorageSettings;
use serde::Serialize;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The limits of the model folder.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Policy {
    /// Maximum bytes of all its files together.
    pub max_bytes: Option<u64>,
    /// Days after its last use at which a model is removed.
    pub keep_days: Option<u32>,
}

impl From<StorageSettings> for Policy {
    fn from(settings: StorageSettings) -> Self {
        Self { max_bytes: settings.max_bytes.map(|size| size.as_u64()), keep_days: settings.keep_days }
    }
}

impl Policy {
    /// Returns whether the policy removes nothing.
    #[must_use]
    pub fn is_unbounded(&self) -> bool {
        *self == Self::default()
    }
}

/// The reason why an item is never removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Keep {
    /// It serves requests without a model.
    Default,
    /// It is in memory, or being downloaded.
    InUse,
    /// It comes with the program, which would create it again.
    Embedded,
    /// It is outside of the model folder, or the target of a link that leads out of it.
    Outside,
}

/// A model or an unfinished download in the model folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// A model's id, or a download's path within the folder.
    pub id: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// The time of its last use, or of its creation.
    pub last_used: Timestamp,
    /// The reason why it is never removed, if there is one.
    pub keep: Option<Keep>,
}

/// The reason for a removal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// It wasn't used for the days of the policy.
    Unused,
    /// The folder is over its limit, and this is the least recently used item that may be removed.
    OverLimit,
}

/// The removal of an item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Removal {
    /// The item's id, as in [`Item`].
    pub id: String,
    /// The freed bytes.
    pub bytes: u64,
    /// The time of its last use.
    pub last_used: Timestamp,
    /// The reason.
    pub reason: Reason,
}

/// The removals, in order, and the size of the folder.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// The removals, the least recently used first within each reason.
    pub removals: Vec<Removal>,
    /// Bytes of the folder before the removals.
    pub bytes_before: u64,
    /// Bytes of the folder after the removals.
    pub bytes_after: u64,
    /// Bytes over the limit after all possible removals.
    pub over_limit: u64,
}

/// Plans the removals: first the items that weren't used for `keep_days`, then the least recently used until the folder is
/// within `max_bytes`. `other_bytes` is the size of the folder's other files, which are never removed.
#[must_use]
pub fn plan(items: &[Item], other_bytes: u64, policy: &Policy, now: Timestamp) -> Plan {
    let inside = |item: &&Item| item.keep != Some(Keep::Outside);
    let before = items.iter().filter(inside).fold(other_bytes, |sum, item| sum.saturating_add(item.bytes));
    let mut candidates: Vec<&Item> = items.iter().filter(|item| item.keep.is_none()).collect();
    candidates.sort_by(|a, b| (a.last_used, &a.id).cmp(&(b.last_used, &b.id)));
    let limit = policy.max_bytes.unwrap_or(u64::MAX);
    let mut plan = Plan { bytes_before: before, bytes_after: before, ..Plan::default() };
    // Sorted by last use, so the expired items are the first.
    for item in candidates {
        let reason = if expired(item, policy, now) {
            Reason::Unused
        } else if plan.bytes_after > limit {
            Reason::OverLimit
        } else {
            break;
        };
        plan.bytes_after = plan.bytes_after.saturating_sub(item.bytes);
        let Item { id, bytes, last_used, .. } = item.clone();
        plan.removals.push(Removal { id, bytes, last_used, reason });
    }
    plan.over_limit = plan.bytes_after.saturating_sub(limit);
    plan
}

fn expired(item: &Item, policy: &Policy, now: Timestamp) -> bool {
    policy.keep_days.is_some_and(|days| item.last_used.until(now) > DAY * days)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn now() -> Timestamp {
        Timestamp::from_unix(NOW)
    }

    fn item(id: &str, bytes: u64, days_ago: i64, keep: Option<Keep>) -> Item {
        let last_used = Timestamp::from_unix(NOW - days_ago * 86_400);
        Item { id: id.to_owned(), bytes, last_used, keep }
    }

    #[test]
    fn expired_and_least_recently_used_items_are_removed_in_order() {
        let items = [
            item("new", 10, 0, None),
            item("old", 20, 40, None),
            item("middle", 30, 10, None),
            item("default", 40, 100, Some(Keep::Default)),
            item("far", 1000, 100, Some(Keep::Outside)),
            item("ahead", 5, -3, None),
        ];
        let (unused, over) = (Reason::Unused, Reason::OverLimit);
        // 105 bytes in the folder, and 5 of other files.
        for (max_bytes, keep_days, goes, after, over_limit) in [
            (None, None, &[][..], 110, 0),
            (Some(110), None, &[], 110, 0),
            (Some(109), None, &[("old", over)], 90, 0),
            (Some(60), None, &[("old", over), ("middle", over)], 60, 0),
            (Some(59), None, &[("old", over), ("middle", over), ("new", over)], 50, 0),
            // After all possible removals the folder is still over its limit.
            (Some(1), None, &[("old", over), ("middle", over), ("new", over), ("ahead", over)], 45, 44),
            (None, Some(40), &[], 110, 0),
            (None, Some(39), &[("old", unused)], 90, 0),
            (None, Some(1), &[("old", unused), ("middle", unused)], 60, 0),
            (Some(95), Some(39), &[("old", unused)], 90, 0),
            (Some(80), Some(39), &[("old", unused), ("middle", over)], 60, 0),
        ] {
            let plan = plan(&items, 5, &Policy { max_bytes, keep_days }, now());
            let found: Vec<_> = plan.removals.iter().map(|gone| (gone.id.as_str(), gone.reason)).collect();
            assert_eq!(found, goes, "{max_bytes:?} {keep_days:?}");
            assert_eq!((plan.bytes_before, plan.bytes_after, plan.over_limit), (110, after, over_limit));
        }
    }

    proptest! {
        #[test]
        fn kept_items_are_never_removed_and_no_removal_is_unnecessary(
            items in proptest::collection::vec((0u64..1000, -10i64..400, 0u8..6), 0..20),
            max_bytes in proptest::option::of(0u64..5000),
            keep_days in proptest::option::of(0u32..400),
        ) {
            let keeps = [None, None, Some(Keep::Default), Some(Keep::InUse), Some(Keep::Embedded), Some(Keep::Outside)];
            let items: Vec<Item> = items
                .into_iter()
                .enumerate()
                .map(|(n, (bytes, days, keep))| item(&n.to_string(), bytes, days, keeps[usize::from(keep)]))
                .collect();
            let policy = Policy { max_bytes, keep_days };
            let plan = plan(&items, 0, &policy, now());
            let of = |id: &str| &items[id.parse::<usize>().unwrap()];
            prop_assert!(plan.removals.iter().all(|gone| of(&gone.id).keep.is_none()));
            prop_assert!(plan.removals.windows(2).all(|pair| pair[0].last_used <= pair[1].last_used));
            let freed: u64 = plan.removals.iter().map(|gone| gone.bytes).sum();
            prop_assert_eq!(plan.bytes_before - freed, plan.bytes_after);
            // Without the last removal for the limit, the folder would be over it.
            if let Some(last) = plan.removals.last().filter(|last| last.reason == Reason::OverLimit) {
                prop_assert!(plan.bytes_after + last.bytes > max_bytes.unwrap());
            }
            let removable = items.iter().filter(|item| item.keep.is_none()).count();
            prop_assert!(plan.over_limit == 0 || plan.removals.len() == removable);
        }
    }
}
