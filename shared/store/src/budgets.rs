//! Budgets: counters of what is spent and reserved in a period, and the reservations of runs in progress.
//!
//! ```text
//! reserve   one transaction: the reservation, and its amount added to every counter, each up to its limit
//! settle    one transaction: the reservation deleted, and in every counter its amount replaced by what the run has used
//! expire    one transaction: the reservation replaced by a mark, and its amount subtracted from every counter
//! settle late, after that: one transaction: the mark deleted, and what the run has used added to every counter
//! exchange  one transaction: the reservation of several runs replaced by what the ended ones have used, and by another one
//! ```
//!
//! Each transaction takes the reservation or the mark away that it is conditional on, so each takes place once, however often
//! it is sent. A process that dies leaves its reservations to whichever process next finds a budget used up.

use hearth_domain::{Budget, LimitSubject, OrganisationId, RunId, Spend, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    StoreError, Table,
    database::{Condition, Created, Item, Key, META, Query, Sort, Update, Write},
    usage::{self, UsageRow},
};

const VERSION: u32 = 1;
/// Partitions of an organisation's reservations, so that none has the writes of all.
const SHARD_COUNT: u32 = 8;
/// Seconds after a period's end at which its counter expires: a year and a bit.
const COUNTER_TTL_SECONDS: i64 = 400 * 24 * 3600;
/// Seconds after the end of its periods for which a reservation is stored that nobody has ended.
const RESERVATION_TTL_SECONDS: i64 = 30 * 24 * 3600;
/// Seconds for which an expired reservation is remembered, for a run that settles late.
const MARK_TTL_SECONDS: i64 = 2 * 24 * 3600;
/// Reservations of a shard that are expired in one call.
const EXPIRE_MAX_COUNT: u32 = 100;

/// The counter of a subject's budget in one period.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CounterId {
    /// The organisation in which the subject has the budget: a member of two has one in each.
    organisation: OrganisationId,
    /// The subject, as text.
    subject: String,
    /// The period: `2026-11-29`, or `2026-11`.
    period: String,
    /// Seconds since 1970 at which the period ends.
    ends_at: i64,
}

impl CounterId {
    /// The counter of an organisation's subject in the period of this name, which ends at `ends_at`.
    #[must_use]
    pub fn new(
        organisation: OrganisationId,
        subject: LimitSubject,
        period: String,
        ends_at: Timestamp,
    ) -> Self {
        Self { organisation, subject: subject.to_string(), period, ends_at: ends_at.unix() }
    }

    /// The name of the period.
    #[must_use]
    pub fn period(&self) -> &str {
        &self.period
    }
}

/// A counter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counter {
    /// Tokens that are spent or reserved.
    pub held_tokens: i64,
    /// Money that is spent or reserved, in billionths of a dollar.
    pub held_nanodollars: i64,
    /// Tokens that are spent.
    pub spent_tokens: i64,
    /// Money that is spent, in billionths of a dollar.
    pub spent_nanodollars: i64,
}

/// The reservation of one run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    /// The run.
    pub run: RunId,
    /// The organisation that it belongs to.
    pub organisation: OrganisationId,
    /// The amount that is reserved in every counter.
    pub amount: Spend,
    /// The counters.
    pub counters: Vec<CounterId>,
    /// When it ends by itself.
    pub expires_at: Timestamp,
}

/// Budgets.
#[derive(Debug, Clone, Copy)]
pub struct Budgets<'a>(pub(crate) &'a Table);

impl Budgets<'_> {
    /// Reserves the amount in every counter. Returns false, and changes nothing, if one of the budgets hasn't so much left.
    /// `budgets`: those of the reservation's counters, in their order.
    ///
    /// # Errors
    /// If the table can't be written: then it may be reserved, up to its end.
    pub async fn reserve(&self, reservation: &Reservation, budgets: &[Budget]) -> Result<bool, StoreError> {
        let key = reservation_key(reservation);
        let amount = reservation.amount;
        if budgets.iter().any(|budget| !fits(budget, amount)) {
            return Ok(false);
        }
        let mut writes = vec![Write::Put(item(reservation)?, Condition::Absent)];
        for (counter, budget) in reservation.counters.iter().zip(budgets) {
            let room = room_for(budget, amount, |_| true);
            writes.push(add(counter, amount, Spend::default(), room));
        }
        match self.0.transact(writes).await {
            Ok(()) => Ok(true),
            // A transaction whose answer was lost is sent again by the client of the database.
            Err(StoreError::Conflict) => Ok(self.0.get_item(&key).await?.is_some()),
            Err(error) => Err(error),
        }
    }

    /// Replaces a reservation by what its run has used, and adds to the sum of usage; once, however often it is called.
    /// Returns false if the run was settled before. `used`: of each of the reservation's counters, in their order.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn settle(
        &self,
        reservation: &Reservation,
        used: &[Spend],
        usage: Option<&UsageRow>,
    ) -> Result<bool, StoreError> {
        let settle = |taken: Key, released: Spend| {
            let counters = reservation.counters.iter().zip(used);
            let counters = counters.map(|(id, used)| add(id, used.minus(released), *used, Condition::Always));
            let taken = Write::Delete(taken, Condition::Exists);
            [taken].into_iter().chain(counters).chain(usage.map(usage::write)).collect::<Vec<_>>()
        };
        let in_time = settle(reservation_key(reservation), reservation.amount);
        match self.0.transact(in_time).await {
            Err(StoreError::Conflict) => {}
            other => return other.map(|()| true),
        }
        // The reservation is expired, or settled already.
        match self.0.transact(settle(mark_key(reservation), Spend::default())).await {
            Err(StoreError::Conflict) => Ok(false),
            other => other.map(|()| true),
        }
    }

    /// Replaces `before`, the reservation of several runs, by what the ended ones have used and by `after`, of the same counters, and
    /// adds to the sums of usage; all or nothing. With `after` more may be reserved than before: then returns false, and changes
    /// nothing, if one of the budgets hasn't so much left. `used`: each of the counters, its budget, and what to add to it.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn exchange(
        &self,
        before: Option<&Reservation>,
        used: &[(&CounterId, Budget, Spend)],
        usage: &[UsageRow],
        after: Option<&Reservation>,
    ) -> Result<bool, StoreError> {
        let reserved = after.map_or_else(Spend::default, |after| after.amount);
        let writes = |taken: Option<(Key, Spend)>| {
            let released = taken.as_ref().map_or_else(Spend::default, |(_, released)| *released);
            let mut writes: Vec<_> =
                taken.map(|(key, _)| Write::Delete(key, Condition::Exists)).into_iter().collect();
            if let Some(after) = after {
                writes.push(Write::Put(item(after)?, Condition::Absent));
            }
            for (counter, budget, used) in used {
                let change = used.plus(reserved).minus(released);
                // What is used already is counted in any case.
                let room = || room_for(budget, change, |change| change > 0);
                let condition = if after.is_some() { room() } else { Condition::Always };
                writes.push(add(counter, change, *used, condition));
            }
            writes.extend(usage.iter().map(usage::write));
            Ok::<_, StoreError>(writes)
        };
        let taken = before.map(|before| (reservation_key(before), before.amount));
        match self.0.transact(writes(taken)?).await {
            Err(StoreError::Conflict) => {}
            other => return other.map(|()| true),
        }
        // The answer of a transaction may have been lost, and the transaction sent again.
        if let Some(after) = after
            && self.0.get_item(&reservation_key(after)).await?.is_some()
        {
            return Ok(true);
        }
        let Some(before) = before else { return Ok(false) };
        if self.0.get_item(&reservation_key(before)).await?.is_some() {
            return Ok(false);
        }
        // It has expired, or was exchanged already.
        match self.0.transact(writes(Some((mark_key(before), Spend::default())))?).await {
            Err(StoreError::Conflict) => Ok(after.is_none()),
            other => other.map(|()| true),
        }
    }

    /// Ends an organisation's reservations that have expired at `now`. Returns their number.
    ///
    /// # Errors
    /// If the table can't be read or written.
    pub async fn expire(&self, organisation: OrganisationId, now: Timestamp) -> Result<usize, StoreError> {
        let mut expired = 0;
        for shard in 0..SHARD_COUNT {
            let ended = Sort::Between("0".to_owned(), now.to_string());
            let query = Query {
                limit: Some(EXPIRE_MAX_COUNT),
                ..Query::partition(partition(organisation, shard), ended)
            };
            for item in self.0.page(&query).await?.items {
                expired += usize::from(self.expire_one(&item.read()?, now).await?);
            }
        }
        Ok(expired)
    }

    async fn expire_one(&self, reservation: &Reservation, now: Timestamp) -> Result<bool, StoreError> {
        let mark = Item::new(mark_key(reservation), VERSION, reservation)?;
        let mark = mark.expiring(now.unix().saturating_add(MARK_TTL_SECONDS));
        let mut writes = vec![
            Write::Delete(reservation_key(reservation), Condition::Exists),
            Write::Put(mark, Condition::Always),
        ];
        let change = Spend::default().minus(reservation.amount);
        writes.extend(
            reservation.counters.iter().map(|id| add(id, change, Spend::default(), Condition::Always)),
        );
        match self.0.transact(writes).await {
            Ok(()) => Ok(true),
            // It was settled meanwhile, or another process has expired it.
            Err(StoreError::Conflict) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// A counter; zero if nothing was spent or reserved in the period.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn counter(&self, id: &CounterId) -> Result<Counter, StoreError> {
        Ok(self.0.get(&counter_key(id)).await?.unwrap_or_default())
    }
}

/// True if an unused budget has room for the amount.
fn fits(budget: &Budget, amount: Spend) -> bool {
    budget.tokens.is_none_or(|tokens| amount.tokens <= tokens)
        && budget.nanodollars.is_none_or(|money| amount.nanodollars <= money)
}

/// The condition that a budget has room for a change of what is held, of each resource whose change `is_limited`.
fn room_for(budget: &Budget, change: Spend, is_limited: impl Fn(i64) -> bool) -> Condition {
    let left = [
        ("held_tokens", budget.tokens, change.tokens),
        ("held_nanodollars", budget.nanodollars, change.nanodollars),
    ];
    let conditions = left.into_iter().filter(|(.., change)| is_limited(*change));
    let conditions = conditions.filter_map(|(name, limit, change)| {
        Some(Condition::NumberAtMost(name, limit?.saturating_sub(change)))
    });
    Condition::All(conditions.collect())
}

/// The item of a reservation. One that nobody has ended is of no use after its periods.
fn item(reservation: &Reservation) -> Result<Item, StoreError> {
    let item = Item::new(reservation_key(reservation), VERSION, reservation)?;
    let last = reservation.counters.iter().map(|counter| counter.ends_at).max();
    let last = last.unwrap_or_default().max(reservation.expires_at.unix());
    Ok(item.expiring(last.saturating_add(RESERVATION_TTL_SECONDS)))
}

/// The write that adds to a counter.
fn add(id: &CounterId, held: Spend, spent: Spend, condition: Condition) -> Write {
    let ttl = Some(id.ends_at.saturating_add(COUNTER_TTL_SECONDS));
    let update = Update {
        create: Some(Created { version: VERSION, ttl }),
        add: vec![
            ("held_tokens", held.tokens),
            ("held_nanodollars", held.nanodollars),
            ("spent_tokens", spent.tokens),
            ("spent_nanodollars", spent.nanodollars),
        ],
        ..Update::default()
    };
    Write::Update(counter_key(id), update, condition)
}

fn counter_key(id: &CounterId) -> Key {
    Key::new(format!("BUDGET#{}#{}", id.organisation, id.subject), id.period.clone())
}

fn partition(organisation: OrganisationId, shard: u32) -> String {
    format!("RESERVE#{organisation}#{shard}")
}

/// The key of a reservation. They are in the order of their ends.
fn reservation_key(reservation: &Reservation) -> Key {
    let Reservation { run, organisation, expires_at, .. } = reservation;
    let run = run.to_string();
    // The end of an id is random.
    let shard = run.bytes().next_back().map_or(0, |last| u32::from(last) % SHARD_COUNT);
    Key::new(partition(*organisation, shard), format!("{expires_at}#{run}"))
}

/// The key of the mark of an expired reservation.
fn mark_key(reservation: &Reservation) -> Key {
    let Reservation { run, organisation, .. } = reservation;
    Key::new(format!("RESERVE#{organisation}#EXPIRED#{run}"), META)
}
