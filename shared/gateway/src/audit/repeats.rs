//! Like refusals as one entry: the first is written at once, the others of the same minute as one entry with their
//! number.
//!
//! A client that is refused may try again for ever, and a stranger may send any number of requests: what they add to
//! the log is bounded by time, not by their requests.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hearth_domain::{AuditEvent, AuditOwner, AuditResult, UserId};

use crate::moment::Moment;

/// Time for which like events are counted.
const WINDOW_TTL: Duration = Duration::from_secs(60);
/// Kinds of events of no organisation that are told apart at a time; further kinds are counted together.
const STRANGER_MAX_COUNT: usize = 32;
/// The same for an organisation, whose users are known.
const ORGANISATION_MAX_COUNT: usize = 256;
/// Kinds of events of all owners together.
const MAX_COUNT: usize = 4096;

/// Like events: an entry for each would say the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Kind {
    owner: AuditOwner,
    /// `None` for the events beyond the limit of the owner's kinds.
    facts: Option<Facts>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Facts {
    user: Option<UserId>,
    credential: Option<String>,
    action: String,
    operation: String,
    result: AuditResult,
    code: Option<String>,
    /// The network: a client may have as many IPv6 addresses of one as it likes.
    network: Option<IpAddr>,
}

#[derive(Debug)]
struct Window {
    began: Moment,
    /// Event of the entry that is written for the repeats.
    event: AuditEvent,
    repeats: u32,
}

/// The counts of the last minute.
#[derive(Debug, Default)]
pub(super) struct Repeats(Mutex<HashMap<Kind, Window>>);

impl Repeats {
    /// Notes an event. Returns the events to write now: this one, if it is the first of its kind, and counted ones
    /// whose minute is over.
    pub(super) fn note(&self, event: AuditEvent) -> Vec<AuditEvent> {
        let now = Moment::now();
        let mut windows = self.windows();
        let mut due = take_due(&mut windows, |window| window.began.age_at(now) >= WINDOW_TTL);
        let owner = event.owner();
        let mut kind = Kind { owner, facts: Some(Facts::of(&event)) };
        if !windows.contains_key(&kind) {
            let of_owner = windows.keys().filter(|other| other.owner == owner).count();
            if of_owner >= max_count(owner) || windows.len() >= MAX_COUNT {
                kind.facts = None;
            }
        }
        match windows.get_mut(&kind) {
            Some(window) => window.repeats = window.repeats.saturating_add(1),
            None => {
                let written = if kind.facts.is_some() { event } else { without_facts(&event) };
                windows.insert(kind, Window { began: now, event: written.clone(), repeats: 0 });
                due.push(written);
            }
        }
        due
    }

    /// Takes all counts, for the end of the process; with `only_due` those whose minute is over.
    pub(super) fn take(&self, only_due: bool) -> Vec<AuditEvent> {
        let now = Moment::now();
        take_due(&mut self.windows(), |window| !only_due || window.began.age_at(now) >= WINDOW_TTL)
    }

    fn windows(&self) -> MutexGuard<'_, HashMap<Kind, Window>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn max_count(owner: AuditOwner) -> usize {
    match owner {
        AuditOwner::Gateway => STRANGER_MAX_COUNT,
        AuditOwner::Organisation(_) => ORGANISATION_MAX_COUNT,
    }
}

fn take_due(windows: &mut HashMap<Kind, Window>, is_due: impl Fn(&Window) -> bool) -> Vec<AuditEvent> {
    let due = windows.extract_if(|_, window| is_due(window));
    due.filter(|(_, window)| window.repeats > 0)
        .map(|(_, window)| AuditEvent { count: window.repeats, request: None, ..window.event })
        .collect()
}

impl Facts {
    fn of(event: &AuditEvent) -> Self {
        Self {
            user: event.user,
            credential: event.credential.clone(),
            action: event.action.clone(),
            operation: event.operation.clone(),
            result: event.result,
            code: event.code.clone(),
            network: event.address.map(network),
        }
    }
}

/// The event of many kinds: what they have in common is their owner.
fn without_facts(event: &AuditEvent) -> AuditEvent {
    AuditEvent {
        organisation: event.organisation,
        result: event.result,
        ..AuditEvent::new("various", "various")
    }
}

/// The first 64 bits of an IPv6 address, which one client has.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(ip) => {
            let [a, b, c, d, ..] = ip.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        ip @ IpAddr::V4(_) => ip,
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use hearth_domain::OrganisationId;

    use super::*;

    fn refusal(operation: &str, address: IpAddr) -> AuditEvent {
        AuditEvent {
            result: AuditResult::Refused,
            code: Some("unauthorized".to_owned()),
            address: Some(address),
            ..AuditEvent::new("manage_tokens", operation)
        }
    }

    #[test]
    fn like_refusals_are_one_entry_and_a_count() {
        let repeats = Repeats::default();
        let address = |last| IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 1, 2, 3, 4, 5, last));
        assert_eq!(repeats.note(refusal("a", address(1))).len(), 1);
        for last in 0..1000 {
            assert!(repeats.note(refusal("a", address(last))).is_empty());
        }
        assert!(repeats.take(true).is_empty(), "the minute isn't over");
        let counted = repeats.take(false);
        assert_eq!(counted.iter().map(|event| event.count).collect::<Vec<_>>(), [1000]);
        assert!(repeats.take(false).is_empty());
    }

    #[test]
    fn strangers_write_a_bounded_number_of_entries() {
        let repeats = Repeats::default();
        let mut written = 0;
        for network in 0..10_000 {
            let address = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, network, 0, 0, 0, 1));
            written += repeats.note(refusal("a", address)).len();
        }
        assert_eq!(written, STRANGER_MAX_COUNT + 1);
        let counted = repeats.take(false);
        assert_eq!(counted.len(), 1);
        assert_eq!((counted[0].count, counted[0].action.as_str()), (9999 - 32, "various"));
        // Other owners have their own limit.
        let own = AuditEvent {
            organisation: Some(OrganisationId::new()),
            ..refusal("a", Ipv6Addr::LOCALHOST.into())
        };
        assert_eq!(repeats.note(own).len(), 1);
    }

    #[test]
    fn count_is_written_after_its_minute() {
        let repeats = Repeats::default();
        let address = IpAddr::V6(Ipv6Addr::LOCALHOST);
        assert_eq!(repeats.note(refusal("a", address)).len(), 1);
        for _ in 0..3 {
            assert!(repeats.note(refusal("a", address)).is_empty());
        }
        repeats.windows().values_mut().for_each(|window| window.began = Moment::hour_ago());
        let due = repeats.note(refusal("b", address));
        let counts: Vec<(&str, u32)> =
            due.iter().map(|event| (event.operation.as_str(), event.count)).collect();
        assert_eq!(counts, [("a", 3), ("b", 1)]);
    }
}
