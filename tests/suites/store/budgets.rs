//! Budgets and usage: reservations with crashes against a model, and races for what is left.

use std::time::Duration;

use hearth_domain::{Budget, LimitSubject, OrganisationId, RunId, Spend, TeamId, Timestamp, UserId};
use hearth_store::{
    Store,
    budgets::{Counter, CounterId, Reservation},
    limit_events::LimitEvent,
    usage::{UsageCounts, UsageKey, UsageRow},
};
use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, TestRunner},
};
use tokio::runtime::Runtime;

use crate::{on_all, world::World};

on_all! {
    only_as_many_runs_as_the_budget_allows_get_a_reservation,
    run_is_settled_once,
    run_is_charged_to_each_counter_by_its_own_amount,
    run_that_settles_after_its_reservation_has_expired_is_counted_once,
    usage_is_summed_up_by_month_and_user,
    event_is_stored_once,
}

/// Test cases of each database.
const CASES: u32 = 48;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn spend(tokens: i64, nanodollars: i64) -> Spend {
    Spend { tokens, nanodollars }
}

fn counter(organisation: OrganisationId, subject: LimitSubject) -> CounterId {
    CounterId::new(organisation, subject, "2096-11-29".to_owned(), at("2096-11-30T00:00:00.000Z"))
}

/// A reservation of one run in several counters.
fn reservation(
    organisation: OrganisationId,
    amount: Spend,
    counters: &[CounterId],
    expires_at: Timestamp,
) -> Reservation {
    Reservation { run: RunId::new(), organisation, amount, counters: counters.to_vec(), expires_at }
}

async fn only_as_many_runs_as_the_budget_allows_get_a_reservation(world: World) {
    let store = world.store();
    let (organisation, later) = (OrganisationId::new(), Timestamp::now().plus(Duration::from_secs(600)));
    // The team's budget is for 10 runs, the user's for more.
    let counters = [LimitSubject::User(UserId::new()), LimitSubject::Team(TeamId::new())]
        .map(|subject| counter(organisation, subject));
    let budgets = [
        Budget { tokens: Some(100_000), nanodollars: None },
        Budget { tokens: Some(1009), nanodollars: Some(1_000_000) },
    ];
    let runs = (0..200).map(|_| {
        let (store, reservation) =
            (store.clone(), reservation(organisation, spend(100, 7), &counters, later));
        async move { store.budgets().reserve(&reservation, &budgets).await.unwrap() }
    });
    let served = world.concurrently(runs).await.into_iter().filter(|served| *served).count();
    assert_eq!(served, 10);
    // Of the other budget no more was reserved.
    for id in &counters {
        let counter = store.budgets().counter(id).await.unwrap();
        assert_eq!((counter.held_tokens, counter.held_nanodollars), (1000, 70));
    }
}

async fn run_is_settled_once(world: World) {
    let store = world.store();
    let budgets = store.budgets();
    let (organisation, later) = (OrganisationId::new(), Timestamp::now().plus(Duration::from_secs(600)));
    let counters = [counter(organisation, LimitSubject::User(UserId::new()))];
    let budget = [Budget { tokens: Some(100), nanodollars: None }];
    let one = reservation(organisation, spend(60, 600), &counters, later);
    assert!(budgets.reserve(&one, &budget).await.unwrap());
    // Sent again after a lost answer, it is the same reservation.
    assert!(budgets.reserve(&one, &budget).await.unwrap());
    let other = reservation(organisation, spend(41, 0), &counters, later);
    assert!(!budgets.reserve(&other, &budget).await.unwrap());
    let row = row(organisation, UserId::new(), "2096-11-29", 50);
    let used = [spend(50, 500)];
    let settle = || budgets.settle(&one, &used, Some(&row));
    let settled = world.concurrently((0..8).map(|_| settle())).await;
    assert_eq!(settled.into_iter().filter(|settled| *settled.as_ref().unwrap()).count(), 1);
    let expected =
        Counter { held_tokens: 50, held_nanodollars: 500, spent_tokens: 50, spent_nanodollars: 500 };
    assert_eq!(budgets.counter(&counters[0]).await.unwrap(), expected);
    let rows = store.usage().of(organisation, "2096-11", None).await.unwrap();
    assert_eq!(rows, std::slice::from_ref(&row));
    // What was not used is free again.
    assert!(budgets.reserve(&other, &budget).await.unwrap());
    assert_eq!(budgets.expire(organisation, Timestamp::now()).await.unwrap(), 0);
}

async fn run_is_charged_to_each_counter_by_its_own_amount(world: World) {
    let store = world.store();
    let (here, elsewhere, user) = (OrganisationId::new(), OrganisationId::new(), UserId::new());
    let end = Timestamp::now();
    let counters =
        [LimitSubject::User(user), LimitSubject::Organisation(here)].map(|subject| counter(here, subject));
    let budgets = [Budget { tokens: Some(100), nanodollars: None }; 2];
    let (in_time, late) = (
        reservation(here, spend(40, 0), &counters, end.plus(Duration::from_secs(600))),
        reservation(here, spend(60, 0), &counters, end),
    );
    for one in [&in_time, &late] {
        assert!(store.budgets().reserve(one, &budgets).await.unwrap());
    }
    assert_eq!(store.budgets().expire(here, end.plus(Duration::from_secs(1))).await.unwrap(), 1);
    for one in [&in_time, &late] {
        assert!(store.budgets().settle(one, &[spend(30, 3), Spend::default()], None).await.unwrap());
    }
    let expected = Counter { held_tokens: 60, held_nanodollars: 6, spent_tokens: 60, spent_nanodollars: 6 };
    assert_eq!(store.budgets().counter(&counters[0]).await.unwrap(), expected);
    assert_eq!(store.budgets().counter(&counters[1]).await.unwrap(), Counter::default());
    // The same user's in another organisation.
    let other = counter(elsewhere, LimitSubject::User(user));
    assert_eq!(store.budgets().counter(&other).await.unwrap(), Counter::default());
}

async fn run_that_settles_after_its_reservation_has_expired_is_counted_once(world: World) {
    let store = world.store();
    let budgets = store.budgets();
    let organisation = OrganisationId::new();
    let counters = [counter(organisation, LimitSubject::User(UserId::new()))];
    let budget = [Budget { tokens: Some(100), nanodollars: None }];
    let (now, end) = (at("2096-11-29T10:00:00.000Z"), at("2096-11-29T10:15:00.000Z"));
    let (dead, slow) = (
        reservation(organisation, spend(40, 0), &counters, end),
        reservation(organisation, spend(60, 0), &counters, end),
    );
    for one in [&dead, &slow] {
        assert!(budgets.reserve(one, &budget).await.unwrap());
    }
    assert_eq!(budgets.expire(organisation, now).await.unwrap(), 0);
    // Many processes find both expired at once.
    let expired = world
        .concurrently((0..4).map(|_| budgets.expire(organisation, end.plus(Duration::from_secs(1)))))
        .await;
    assert_eq!(expired.into_iter().map(Result::unwrap).sum::<usize>(), 2);
    assert_eq!(budgets.counter(&counters[0]).await.unwrap(), Counter::default());
    for is_first in [true, false] {
        assert_eq!(budgets.settle(&slow, &[spend(55, 0)], None).await.unwrap(), is_first);
    }
    let counter = budgets.counter(&counters[0]).await.unwrap();
    assert_eq!((counter.held_tokens, counter.spent_tokens), (55, 55));
}

fn row(organisation: OrganisationId, user: UserId, day: &str, tokens: i64) -> UsageRow {
    let key = UsageKey {
        organisation,
        day: day.to_owned(),
        user,
        credential: "tok_1".to_owned(),
        team: String::new(),
        provider: "rig0".to_owned(),
        model: "big#1".to_owned(),
    };
    UsageRow { key, counts: UsageCounts { requests: 1, completion_tokens: tokens, ..UsageCounts::default() } }
}

async fn usage_is_summed_up_by_month_and_user(world: World) {
    let store = world.store();
    let usage = store.usage();
    let (organisation, one, other) = (OrganisationId::new(), UserId::new(), UserId::new());
    let add =
        async |user, day: &str, tokens| usage.add(&[row(organisation, user, day, tokens)]).await.unwrap();
    for (user, day, tokens) in
        [(one, "2096-11-30", 5), (one, "2096-11-30", 6), (one, "2096-12-01", 7), (other, "2096-11-30", 8)]
    {
        add(user, day, tokens).await;
    }
    let sums = async |month: &str, user| {
        let rows = usage.of(organisation, month, user).await.unwrap();
        let mut sums: Vec<_> =
            rows.iter().map(|row| (row.counts.requests, row.counts.completion_tokens)).collect();
        sums.sort_unstable();
        sums
    };
    assert_eq!(sums("2096-11", None).await, [(1, 8), (2, 11)]);
    assert_eq!(sums("2096-11", Some(one)).await, [(2, 11)]);
    assert_eq!(sums("2096-12", Some(one)).await, [(1, 7)]);
    assert_eq!(usage.delete_of(organisation, "2096-11", one).await.unwrap(), 1);
    assert_eq!(sums("2096-11", None).await, [(1, 8)]);
}

async fn event_is_stored_once(world: World) {
    let store = world.store();
    let organisation = OrganisationId::new();
    let event = |percent| LimitEvent {
        organisation,
        subject: LimitSubject::Organisation(organisation).to_string(),
        period: "2096-11".to_owned(),
        resource: "dollars".to_owned(),
        percent,
        at: at("2096-11-29T10:00:00.000Z"),
    };
    let eighty = event(80);
    let stored =
        world.concurrently((0..8).map(|_| async { store.limit_events().put(&eighty).await.unwrap() })).await;
    assert_eq!(stored.into_iter().filter(|is_new| *is_new).count(), 1);
    assert!(store.limit_events().put(&event(100)).await.unwrap());
    let events = store.limit_events().of(organisation, "2096-11").await.unwrap();
    assert_eq!(events.iter().map(|event| event.percent).collect::<Vec<_>>(), [80, 100]);
}

/// A step of a case of the property test. `run` names one of the runs so far.
#[derive(Debug, Clone)]
enum Step {
    /// A run reserves so much; both budgets limit it.
    Reserve { amount: i64 },
    /// A run settles, perhaps again, or after it has expired.
    Settle { run: usize, used: i64 },
    /// The processes of all runs in progress die: nothing more is written of them.
    Crash,
    /// Time passes.
    Wait { seconds: u64 },
    /// A process looks for expired reservations.
    Expire,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RunState {
    Reserved,
    Expired,
    Settled { used: i64, is_late: bool },
}

#[derive(Debug)]
struct ModelRun {
    reservation: Reservation,
    state: RunState,
    is_dead: bool,
}

/// Seconds after which a reservation of the property test expires.
const RESERVATION_SECONDS: u64 = 60;

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..40_i64).prop_map(|amount| Step::Reserve { amount }),
        4 => (0..12_usize, 0..50_i64).prop_map(|(run, used)| Step::Settle { run, used }),
        1 => Just(Step::Crash),
        2 => (1..90_u64).prop_map(|seconds| Step::Wait { seconds }),
        2 => Just(Step::Expire),
    ]
}

#[test]
fn budgets_equal_the_model_whatever_crashes() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (home, aws) = runtime.block_on(async { (World::at_home().await, World::in_aws().await) });
    for (name, store) in [("SQLite", home.store()), ("DynamoDB", aws.store())] {
        let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
        let result =
            TestRunner::new(config).run(&vec(step(), 1..40), |steps| check(&runtime, &store, &steps));
        result.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

/// Executes the steps on the store and on a model, and compares them after each.
fn check(runtime: &Runtime, store: &Store, steps: &[Step]) -> Result<(), TestCaseError> {
    let budgets = store.budgets();
    let organisation = OrganisationId::new();
    let (user, team) = (LimitSubject::User(UserId::new()), LimitSubject::Team(TeamId::new()));
    let counters = [user, team].map(|subject| counter(organisation, subject));
    let limits = [100, 120];
    let mut now = at("2096-11-29T10:00:00.000Z");
    let mut runs: Vec<ModelRun> = Vec::new();
    for step in steps {
        match step {
            Step::Reserve { amount } => {
                let end = now.plus(Duration::from_secs(RESERVATION_SECONDS));
                let reservation = reservation(organisation, spend(*amount, amount * 10), &counters, end);
                let limited = limits.map(|tokens| Budget { tokens: Some(tokens), nanodollars: None });
                let is_reserved = runtime.block_on(budgets.reserve(&reservation, &limited)).unwrap();
                prop_assert_eq!(is_reserved, held(&runs) + amount <= limits[0], "{:?}", &runs);
                if is_reserved {
                    runs.push(ModelRun { reservation, state: RunState::Reserved, is_dead: false });
                }
            }
            Step::Settle { run, used } => {
                let count = runs.len();
                let Some(run) = runs.get_mut(run % count.max(1)).filter(|run| !run.is_dead) else { continue };
                let used_spend = [spend(*used, used * 10); 2];
                let is_first = runtime.block_on(budgets.settle(&run.reservation, &used_spend, None)).unwrap();
                prop_assert_eq!(is_first, !matches!(run.state, RunState::Settled { .. }));
                if is_first {
                    run.state = RunState::Settled { used: *used, is_late: run.state == RunState::Expired };
                }
            }
            Step::Crash => runs.iter_mut().for_each(|run| run.is_dead |= run.state == RunState::Reserved),
            Step::Wait { seconds } => now = now.plus(Duration::from_secs(*seconds)),
            Step::Expire => expire(runtime, store, organisation, now, &mut runs)?,
        }
        compare(runtime, store, &counters, &runs)?;
    }
    // Whatever has died: after the end of the last reservation nothing is held but what was spent.
    now = now.plus(Duration::from_secs(RESERVATION_SECONDS + 1));
    expire(runtime, store, organisation, now, &mut runs)?;
    compare(runtime, store, &counters, &runs)?;
    prop_assert_eq!(held(&runs), spent(&runs));
    Ok(())
}

fn expire(
    runtime: &Runtime,
    store: &Store,
    organisation: OrganisationId,
    now: Timestamp,
    runs: &mut [ModelRun],
) -> Result<(), TestCaseError> {
    let mut expected = 0;
    for run in runs.iter_mut() {
        // Keys of reservations begin with their end: one that ends at this moment expires in the next.
        if run.state == RunState::Reserved && run.reservation.expires_at < now {
            (run.state, expected) = (RunState::Expired, expected + 1);
        }
    }
    prop_assert_eq!(runtime.block_on(store.budgets().expire(organisation, now)).unwrap(), expected);
    Ok(())
}

fn compare(
    runtime: &Runtime,
    store: &Store,
    counters: &[CounterId],
    runs: &[ModelRun],
) -> Result<(), TestCaseError> {
    for id in counters {
        let counter = runtime.block_on(store.budgets().counter(id)).unwrap();
        let (held, spent) = (held(runs), spent(runs));
        let expected = Counter {
            held_tokens: held,
            held_nanodollars: held * 10,
            spent_tokens: spent,
            spent_nanodollars: spent * 10,
        };
        prop_assert_eq!(counter, expected, "{:?}", runs);
    }
    // The bound of docs/limits.md: the budget, what runs have used beyond their reservations, and what those have used that
    // outlived them.
    let excess = runs.iter().map(|run| match run.state {
        RunState::Settled { used, is_late: true } => used,
        RunState::Settled { used, is_late: false } => (used - run.reservation.amount.tokens).max(0),
        RunState::Reserved | RunState::Expired => 0,
    });
    let bound = 100 + excess.sum::<i64>();
    prop_assert!(held(runs) <= bound && spent(runs) <= bound, "{:?}", runs);
    Ok(())
}

fn held(runs: &[ModelRun]) -> i64 {
    runs.iter()
        .map(|run| match run.state {
            RunState::Reserved => run.reservation.amount.tokens,
            RunState::Expired => 0,
            RunState::Settled { used, .. } => used,
        })
        .sum()
}

fn spent(runs: &[ModelRun]) -> i64 {
    runs.iter()
        .map(|run| match run.state {
            RunState::Settled { used, .. } => used,
            RunState::Reserved | RunState::Expired => 0,
        })
        .sum()
}
