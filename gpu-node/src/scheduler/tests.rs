use hearth_domain::Priority::{High, Low, Normal};

use super::*;
use Effect::{Abort, Dispatch, Dropped, Position, Refused, Start, Stop, Unservable};
use StopReason::{Evicted, Idle, Requested};

mod properties;

/// One model in memory, with one slot. The other limits are not reached.
const LIMITS: Limits = Limits {
    loaded_models: 1,
    slots: 1,
    queue_depth: 4,
    queue_total: 8,
    memory_bytes: None,
    turn: Duration::from_secs(30),
    ageing: Duration::from_secs(60),
    idle_timeout: None,
};

fn name(model: &str) -> String {
    model.to_owned()
}

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn runs<const N: usize>() -> [RunId; N] {
    [(); N].map(|()| RunId::new())
}

/// A run of normal priority with one slot.
fn of(run: RunId, model: &str) -> Submission {
    Submission { run, model: name(model), priority: Normal, slots: 1 }
}

/// A scheduler that has loaded `models` at time 0, in this order, each for a run that has ended.
fn with_loaded(limits: Limits, models: &[&str]) -> Scheduler {
    let mut scheduler = Scheduler::new(limits);
    for model in models {
        let run = RunId::new();
        assert_eq!(scheduler.load(at(0), model), Ok(vec![Start(name(model))]));
        assert_eq!(scheduler.model_loaded(at(0), model), []);
        assert_eq!(scheduler.submit(at(0), of(run, model)), Ok(vec![Dispatch(run)]));
        assert_eq!(scheduler.run_finished(at(0), run), []);
    }
    scheduler
}

// Order and bounds

#[test]
fn run_loads_its_model_and_is_dispatched() {
    let mut scheduler = Scheduler::new(LIMITS);
    let run = RunId::new();
    assert_eq!(scheduler.submit(at(0), of(run, "a")), Ok(vec![Start(name("a")), Position(run, 1)]));
    assert_eq!(scheduler.run_counts("a"), (0, 1));
    assert_eq!(scheduler.model_loaded(at(1), "a"), [Dispatch(run)]);
    assert_eq!(scheduler.run_counts("a"), (1, 0));
    assert_eq!(scheduler.run_finished(at(2), run), []);
    assert_eq!((scheduler.run_counts("a"), scheduler.queued_count()), ((0, 0), 0));
}

/// The bound holds for loaded models too (ollama 7758).
#[test]
fn queue_of_a_loaded_model_is_bounded_and_positions_are_reported() {
    let mut scheduler = with_loaded(Limits { queue_depth: 2, ..LIMITS }, &["a"]);
    let [first, second, third, fourth] = runs();
    assert_eq!(scheduler.submit(at(0), of(first, "a")), Ok(vec![Dispatch(first)]));
    assert_eq!(scheduler.submit(at(0), of(second, "a")), Ok(vec![Position(second, 1)]));
    assert_eq!(scheduler.submit(at(0), of(third, "a")), Ok(vec![Position(third, 2)]));
    assert_eq!(scheduler.submit(at(0), of(fourth, "a")), Err(Refusal::QueueFull));
    assert_eq!((scheduler.run_counts("a"), scheduler.queued_count()), ((1, 2), 2));
    assert_eq!(scheduler.run_finished(at(1), first), [Dispatch(second), Position(third, 1)]);
}

#[test]
fn all_queues_together_are_bounded_and_a_dispatched_run_does_not_count() {
    let mut scheduler = with_loaded(Limits { queue_total: 2, ..LIMITS }, &["a"]);
    let [first, second, third, fourth] = runs();
    scheduler.submit(at(0), of(RunId::new(), "a")).unwrap();
    scheduler.submit(at(0), of(first, "b")).unwrap();
    scheduler.submit(at(0), of(second, "c")).unwrap();
    assert_eq!(scheduler.submit(at(0), of(third, "a")), Err(Refusal::QueueFull));
    assert_eq!(scheduler.submit(at(0), of(third, "d")), Err(Refusal::QueueFull));

    let mut scheduler = with_loaded(Limits { queue_depth: 0, queue_total: 0, ..LIMITS }, &["a"]);
    assert_eq!(scheduler.submit(at(0), of(third, "a")), Ok(vec![Dispatch(third)]));
    assert_eq!(scheduler.submit(at(0), of(fourth, "a")), Err(Refusal::QueueFull));
}

#[test]
fn order_is_by_priority_then_age_with_ageing() {
    /// The time and priority of each submission, and the expected order of their indexes.
    type Row = (&'static [(u64, Priority)], &'static [usize]);
    let table: &[Row] = &[
        (&[(0, Normal), (1, Normal), (2, Normal)], &[0, 1, 2]),
        (&[(0, Low), (1, Normal), (2, High)], &[2, 1, 0]),
        (&[(0, Low), (0, High), (0, Low), (0, High)], &[1, 3, 0, 2]),
        // After one ageing time equal to the next higher priority, after two to the highest.
        (&[(0, Low), (59, Normal)], &[1, 0]),
        (&[(0, Low), (60, Normal)], &[0, 1]),
        (&[(0, Normal), (60, High)], &[0, 1]),
        (&[(0, Low), (119, High), (120, High)], &[1, 0, 2]),
    ];
    for (submissions, expected) in table {
        let mut scheduler = with_loaded(LIMITS, &["a"]);
        let busy = RunId::new();
        scheduler.submit(at(0), of(busy, "a")).unwrap();
        let queued: Vec<_> = submissions.iter().map(|_| RunId::new()).collect();
        for (run, (when, priority)) in queued.iter().zip(*submissions) {
            scheduler.submit(at(*when), Submission { priority: *priority, ..of(*run, "a") }).unwrap();
        }
        let mut ending = busy;
        for place in *expected {
            let run = queued[*place];
            assert_eq!(scheduler.run_finished(at(200), ending)[0], Dispatch(run), "{submissions:?}");
            ending = run;
        }
    }
}

#[test]
fn run_of_higher_priority_moves_later_positions() {
    let mut scheduler = with_loaded(LIMITS, &["a"]);
    let [busy, low, normal, high] = runs();
    scheduler.submit(at(0), of(busy, "a")).unwrap();
    let low_effects = scheduler.submit(at(0), Submission { priority: Low, ..of(low, "a") });
    assert_eq!(low_effects, Ok(vec![Position(low, 1)]));
    let high_effects = scheduler.submit(at(1), Submission { priority: High, ..of(high, "a") });
    assert_eq!(high_effects, Ok(vec![Position(high, 1), Position(low, 2)]));
    assert_eq!(scheduler.submit(at(2), of(normal, "a")), Ok(vec![Position(normal, 2), Position(low, 3)]));
}

#[test]
fn run_that_waits_for_several_slots_is_not_overtaken_from_behind() {
    let mut scheduler = with_loaded(Limits { slots: 4, ..LIMITS }, &["a"]);
    let [three, two, one, urgent] = runs();
    scheduler.submit(at(0), Submission { slots: 3, ..of(three, "a") }).unwrap();
    let two_slots = Submission { slots: 2, ..of(two, "a") };
    assert_eq!(scheduler.submit(at(0), two_slots), Ok(vec![Position(two, 1)]));
    assert_eq!(scheduler.submit(at(0), of(one, "a")), Ok(vec![Position(one, 2)]));
    // A run before them in the order gets the free slot.
    let high = Submission { priority: High, ..of(urgent, "a") };
    assert_eq!(scheduler.submit(at(0), high), Ok(vec![Dispatch(urgent)]));
    assert_eq!(scheduler.run_finished(at(1), three), [Dispatch(two), Dispatch(one)]);
}

#[test]
fn run_with_too_many_slots_gets_all_slots() {
    let mut scheduler = with_loaded(Limits { slots: 2, ..LIMITS }, &["a"]);
    let [many, one] = runs();
    assert_eq!(scheduler.submit(at(0), Submission { slots: 9, ..of(many, "a") }), Ok(vec![Dispatch(many)]));
    assert_eq!(scheduler.submit(at(0), of(one, "a")), Ok(vec![Position(one, 1)]));
    assert_eq!(scheduler.run_finished(at(1), many), [Dispatch(one)]);
}

// Cancelling

/// See `ik_llama.cpp` 1929.
#[test]
fn cancel_affects_its_own_run_only() {
    let mut scheduler = with_loaded(Limits { slots: 2, ..LIMITS }, &["a"]);
    let [first, other, third, fourth] = runs();
    for run in [first, other, third, fourth] {
        scheduler.submit(at(0), of(run, "a")).unwrap();
    }
    assert_eq!(scheduler.cancel(at(1), third), [Dropped(third), Position(fourth, 1)]);
    // The next run is dispatched at once, and is prepared during the last step of the cancelled one.
    assert_eq!(scheduler.cancel(at(2), first), [Abort(first), Dispatch(fourth)]);
    assert_eq!(scheduler.run_counts("a"), (3, 0));
    assert_eq!(scheduler.run_finished(at(3), first), []);
    assert_eq!(scheduler.cancel(at(4), first), []);
    assert_eq!(scheduler.run_counts("a"), (2, 0));
}

#[test]
fn cancelled_run_frees_its_slots_once() {
    let mut scheduler = with_loaded(LIMITS, &["a"]);
    let [first, second, third] = runs();
    for run in [first, second, third] {
        scheduler.submit(at(0), of(run, "a")).unwrap();
    }
    assert_eq!(scheduler.cancel(at(1), first), [Abort(first), Dispatch(second), Position(third, 1)]);
    assert_eq!(scheduler.cancel(at(2), first), [Abort(first)]);
    assert_eq!(scheduler.unload(at(2), "a"), Err(Refusal::InUse));
    assert_eq!(scheduler.run_finished(at(3), first), []);
    assert_eq!(scheduler.run_finished(at(4), second), [Dispatch(third)]);
}

#[test]
fn run_is_cancelled_during_the_load_of_its_model() {
    let mut scheduler = Scheduler::new(LIMITS);
    let [first, second] = runs();
    scheduler.submit(at(0), of(first, "a")).unwrap();
    scheduler.submit(at(0), of(second, "a")).unwrap();
    assert_eq!(scheduler.cancel(at(1), first), [Dropped(first), Position(second, 1)]);
    assert_eq!(scheduler.model_loaded(at(2), "a"), [Dispatch(second)]);
}

#[test]
fn held_back_runs_continue_when_the_waiting_run_is_cancelled() {
    let mut scheduler = with_loaded(LIMITS, &["a"]);
    let [first, held, waiting] = runs();
    scheduler.submit(at(0), of(first, "a")).unwrap();
    scheduler.submit(at(0), of(waiting, "b")).unwrap();
    scheduler.submit(at(40), of(held, "a")).unwrap();
    assert_eq!(scheduler.cancel(at(41), waiting), [Dropped(waiting)]);
    assert_eq!(scheduler.run_finished(at(42), first), [Dispatch(held)]);
}

// Turns

/// See llama-swap 612.
#[test]
fn alternating_requests_do_not_load_a_model_each() {
    let mut scheduler = with_loaded(LIMITS, &["a"]);
    let order = ["a", "b", "a", "c", "a", "b"];
    let queued = order.map(|model| (RunId::new(), model));
    let mut effects = Vec::new();
    for (run, model) in queued {
        effects.extend(scheduler.submit(at(0), of(run, model)).unwrap());
    }
    let (mut served, mut now) = (Vec::new(), 0);
    while let Some(next) = (!effects.is_empty()).then(|| effects.remove(0)) {
        now += 1;
        match next {
            Start(model) => effects.extend(scheduler.model_loaded(at(now), &model)),
            Stop(model, reason) => {
                assert_eq!(reason, Evicted);
                effects.extend(scheduler.worker_exited(at(now), &model));
            }
            Dispatch(run) => {
                served.extend(queued.iter().find(|(id, _)| *id == run).map(|(_, model)| *model));
                effects.extend(scheduler.run_finished(at(now), run));
            }
            _ => {}
        }
    }
    assert_eq!(served, ["a", "a", "a", "b", "b", "c"]);
}

#[test]
fn loaded_model_continues_for_one_turn_and_is_then_evicted() {
    let mut scheduler = with_loaded(LIMITS, &["a"]);
    let [first, second, third, other] = runs();
    scheduler.submit(at(100), of(first, "a")).unwrap();
    assert_eq!(scheduler.submit(at(110), of(other, "b")), Ok(vec![Position(other, 1)]));
    scheduler.submit(at(111), of(second, "a")).unwrap();
    scheduler.submit(at(112), of(third, "a")).unwrap();
    // The turn ends at 140.
    assert_eq!(scheduler.run_finished(at(139), first), [Dispatch(second), Position(third, 1)]);
    assert_eq!(scheduler.tick(at(140)), []);
    assert_eq!(scheduler.run_finished(at(150), second), [Stop(name("a"), Evicted)]);
    assert_eq!(scheduler.worker_exited(at(151), "a"), [Start(name("b"))]);
    assert_eq!(scheduler.model_loaded(at(160), "b"), [Dispatch(other)]);
    // It has no further runs, so it is evicted at once for the other model.
    assert_eq!(scheduler.run_finished(at(161), other), [Stop(name("b"), Evicted)]);
    assert_eq!(scheduler.worker_exited(at(162), "b"), [Start(name("a"))]);
    assert_eq!(scheduler.model_loaded(at(170), "a"), [Dispatch(third)]);
}

#[test]
fn model_gets_no_run_after_its_turn_despite_a_free_slot() {
    let mut scheduler = with_loaded(Limits { slots: 2, ..LIMITS }, &["a"]);
    let [first, early, held, other] = runs();
    scheduler.submit(at(0), of(first, "a")).unwrap();
    scheduler.submit(at(0), of(other, "b")).unwrap();
    assert_eq!(scheduler.submit(at(1), of(early, "a")), Ok(vec![Dispatch(early)]));
    scheduler.run_finished(at(2), early);
    assert_eq!(scheduler.submit(at(30), of(held, "a")), Ok(vec![Position(held, 1)]));
    assert_eq!(scheduler.run_finished(at(31), first), [Stop(name("a"), Evicted)]);
}

#[test]
fn idle_model_is_evicted_at_once() {
    let mut scheduler = with_loaded(LIMITS, &["a"]);
    let run = RunId::new();
    let effects = scheduler.submit(at(1), of(run, "b"));
    assert_eq!(effects, Ok(vec![Stop(name("a"), Evicted), Position(run, 1)]));
}

#[test]
fn newly_loaded_model_has_its_turn_despite_older_waits() {
    let mut scheduler = with_loaded(LIMITS, &["a"]);
    let [busy, old, first, second, third] = runs();
    scheduler.submit(at(0), of(busy, "a")).unwrap();
    scheduler.submit(at(0), of(first, "b")).unwrap();
    scheduler.submit(at(1), of(second, "b")).unwrap();
    scheduler.submit(at(1), of(third, "b")).unwrap();
    scheduler.submit(at(40), of(old, "a")).unwrap();
    scheduler.run_finished(at(41), busy);
    scheduler.worker_exited(at(42), "a");
    assert_eq!(scheduler.model_loaded(at(100), "b")[0], Dispatch(first));
    assert_eq!(scheduler.run_finished(at(129), first)[0], Dispatch(second));
    assert_eq!(scheduler.run_finished(at(130), second), [Stop(name("b"), Evicted)]);
}

#[test]
fn turn_has_one_run_at_least() {
    let mut scheduler = Scheduler::new(Limits { turn: at(0), ..LIMITS });
    let [a1, a2, b1] = runs();
    scheduler.submit(at(0), of(a1, "a")).unwrap();
    scheduler.submit(at(0), of(a2, "a")).unwrap();
    scheduler.submit(at(0), of(b1, "b")).unwrap();
    assert_eq!(scheduler.model_loaded(at(0), "a"), [Dispatch(a1), Position(a2, 1)]);
    assert_eq!(scheduler.run_finished(at(0), a1), [Stop(name("a"), Evicted)]);
    assert_eq!(scheduler.worker_exited(at(0), "a"), [Start(name("b"))]);
    assert_eq!(scheduler.model_loaded(at(0), "b"), [Dispatch(b1)]);
}

#[test]
fn model_after_its_turn_is_behind_waiting_models() {
    let mut scheduler = with_loaded(LIMITS, &["a"]);
    let [a1, a2, b1, b2, c1] = runs();
    for (run, model) in [(a1, "a"), (a2, "a"), (b1, "b"), (b2, "b"), (c1, "c")] {
        scheduler.submit(at(0), of(run, model)).unwrap();
    }
    let mut now = 0;
    for (run, model, next) in [(a1, "a", "b"), (b1, "b", "c"), (c1, "c", "a"), (a2, "a", "b")] {
        now += 40;
        assert_eq!(scheduler.run_finished(at(now), run), [Stop(name(model), Evicted)]);
        assert_eq!(scheduler.worker_exited(at(now), model), [Start(name(next))]);
        assert!(scheduler.model_loaded(at(now), next).iter().any(|effect| matches!(effect, Dispatch(_))));
    }
    assert_eq!(scheduler.run_counts("b"), (1, 0), "{b2}");
}

#[test]
fn evicted_model_is_not_the_next_to_load_despite_urgent_runs() {
    let mut scheduler = with_loaded(LIMITS, &["a"]);
    let [busy, urgent, other] = runs();
    scheduler.submit(at(0), of(busy, "a")).unwrap();
    scheduler.submit(at(0), Submission { priority: Low, ..of(other, "b") }).unwrap();
    scheduler.submit(at(30), Submission { priority: High, ..of(urgent, "a") }).unwrap();
    assert_eq!(scheduler.run_finished(at(31), busy), [Stop(name("a"), Evicted)]);
    assert_eq!(scheduler.worker_exited(at(32), "a"), [Start(name("b"))]);
}

#[test]
fn no_run_is_held_back_when_there_is_room() {
    let mut scheduler = with_loaded(Limits { loaded_models: 2, ..LIMITS }, &["a"]);
    let [first, other, second] = runs();
    scheduler.submit(at(0), of(first, "a")).unwrap();
    assert_eq!(scheduler.submit(at(0), of(other, "b")).unwrap()[0], Start(name("b")));
    scheduler.submit(at(90), of(second, "a")).unwrap();
    assert_eq!(scheduler.run_finished(at(91), first), [Dispatch(second)]);
}

#[test]
fn other_models_continue_when_one_is_being_evicted() {
    let mut scheduler = with_loaded(Limits { loaded_models: 2, ..LIMITS }, &["a", "b"]);
    let [a, b, c, held] = runs();
    scheduler.submit(at(0), of(a, "a")).unwrap();
    scheduler.submit(at(0), of(b, "b")).unwrap();
    scheduler.submit(at(0), of(c, "c")).unwrap();
    scheduler.submit(at(50), of(held, "b")).unwrap();
    scheduler.run_finished(at(51), a);
    assert_eq!(scheduler.run_finished(at(52), b), [Dispatch(held)]);
}

#[test]
fn runs_of_a_pinned_model_are_never_held_back() {
    let mut scheduler = with_loaded(Limits { loaded_models: 2, ..LIMITS }, &["a", "b"]);
    scheduler.pin(at(0), "a");
    let [first, second, busy, waiting] = runs();
    scheduler.submit(at(0), of(first, "a")).unwrap();
    scheduler.submit(at(0), of(busy, "b")).unwrap();
    scheduler.submit(at(0), of(waiting, "c")).unwrap();
    scheduler.submit(at(99), of(second, "a")).unwrap();
    assert_eq!(scheduler.run_finished(at(100), first), [Dispatch(second)]);
}

/// The bound is one turn, the longest run, the stop and the load, for each model before it.
#[test]
fn no_run_starves_with_queues_that_are_never_empty() {
    let (run_takes, stop_takes, load_takes) = (7, 1, 10);
    let cycle = LIMITS.turn + at(run_takes + stop_takes + load_takes);
    let mut scheduler = with_loaded(Limits { queue_total: 100, ..LIMITS }, &["a"]);
    let mut waiting = HashMap::new();
    let mut waited = BTreeMap::from([("a", at(0)), ("b", at(0)), ("c", at(0))]);
    // The current runs, stops and loads, with the time at which each ends.
    let mut going: Vec<(u64, Effect)> = Vec::new();
    for now in 0..3000 {
        let mut effects = Vec::new();
        for model in ["a", "b", "c"] {
            // No queue is ever empty.
            while scheduler.run_counts(model).1 < 3 {
                let run = RunId::new();
                waiting.insert(run, (model, now));
                effects.extend(scheduler.submit(at(now), of(run, model)).unwrap());
            }
        }
        let (ended, still): (Vec<_>, Vec<_>) = going.into_iter().partition(|(end, _)| *end <= now);
        going = still;
        for (_, what) in ended {
            effects.extend(match &what {
                Start(model) => scheduler.model_loaded(at(now), model),
                Stop(model, _) => scheduler.worker_exited(at(now), model),
                Dispatch(run) => scheduler.run_finished(at(now), *run),
                _ => unreachable!(),
            });
        }
        for effect in effects {
            let takes = match &effect {
                Start(_) => load_takes,
                Stop(..) => stop_takes,
                Dispatch(run) => {
                    let (model, since) = waiting.remove(run).unwrap();
                    let longest = waited.get_mut(model).unwrap();
                    *longest = (*longest).max(at(now - since));
                    run_takes
                }
                _ => continue,
            };
            going.push((now + takes, effect));
        }
    }
    for (model, longest) in waited {
        // The turn of its own model ended before it, then the two others had theirs.
        assert!(longest > at(0) && longest <= 3 * cycle, "{model} waited {longest:?} of {:?}", 3 * cycle);
    }
}

// Memory

/// A model in use isn't evicted, however old its last run is (llama.cpp 21678).
#[test]
fn least_recently_used_model_is_evicted_but_never_one_in_use() {
    let limits = Limits { loaded_models: 3, ..LIMITS };
    let mut scheduler = with_loaded(limits, &["long", "again", "once"]);
    let [long, again, new, newer, waiting] = runs();
    scheduler.submit(at(1), of(long, "long")).unwrap();
    scheduler.submit(at(2), of(again, "again")).unwrap();
    scheduler.run_finished(at(3), again);
    assert_eq!(scheduler.submit(at(4), of(new, "new")).unwrap()[0], Stop(name("once"), Evicted));
    scheduler.worker_exited(at(5), "once");
    scheduler.model_loaded(at(6), "new");
    assert_eq!(scheduler.submit(at(7), of(newer, "newer")).unwrap()[0], Stop(name("again"), Evicted));
    scheduler.worker_exited(at(8), "again");
    scheduler.model_loaded(at(9), "newer");
    let effects = scheduler.submit(at(10), of(waiting, "waiting"));
    assert_eq!(effects, Ok(vec![Position(waiting, 1)]), "all are in use");
    assert_eq!(scheduler.run_finished(at(50), long), [Stop(name("long"), Evicted)]);
}

#[test]
fn model_without_queued_runs_is_evicted_before_one_after_its_turn() {
    let mut scheduler = with_loaded(Limits { loaded_models: 3, ..LIMITS }, &["used", "held"]);
    let [used, held, late, next] = runs();
    scheduler.submit(at(0), of(held, "held")).unwrap();
    scheduler.submit(at(0), of(used, "used")).unwrap();
    scheduler.load(at(1), "third").unwrap();
    scheduler.submit(at(2), of(next, "next")).unwrap();
    scheduler.submit(at(40), of(late, "held")).unwrap();
    // Both become idle during a load.
    assert_eq!(scheduler.run_finished(at(41), held), []);
    assert_eq!(scheduler.run_finished(at(42), used), []);
    assert_eq!(scheduler.model_loaded(at(43), "third"), [Stop(name("used"), Evicted), Dispatch(late)]);
}

#[test]
fn models_are_loaded_one_at_a_time_without_evictions_meanwhile() {
    let mut scheduler = Scheduler::new(Limits { loaded_models: 2, ..LIMITS });
    let [a, b, c, a2] = runs();
    assert_eq!(scheduler.submit(at(0), of(a, "a")).unwrap()[0], Start(name("a")));
    assert_eq!(scheduler.submit(at(0), of(b, "b")), Ok(vec![Position(b, 1)]));
    assert_eq!(scheduler.submit(at(0), of(c, "c")), Ok(vec![Position(c, 1)]));
    assert_eq!(scheduler.submit(at(0), of(a2, "a")), Ok(vec![Position(a2, 2)]));
    assert_eq!(scheduler.cancel(at(1), a), [Dropped(a), Position(a2, 1)]);
    assert_eq!(scheduler.cancel(at(2), a2), [Dropped(a2)]);
    assert_eq!(scheduler.model_loaded(at(3), "a"), [Start(name("b"))]);
    // It is idle, but another model is being loaded.
    assert_eq!(scheduler.tick(at(4)), []);
    assert_eq!(scheduler.model_loaded(at(5), "b"), [Dispatch(b), Stop(name("a"), Evicted)]);
}

#[test]
fn models_are_loaded_in_the_order_of_their_first_runs() {
    let mut scheduler = with_loaded(LIMITS, &["a"]);
    let [busy, low, normal, high] = runs();
    scheduler.submit(at(0), of(busy, "a")).unwrap();
    scheduler.submit(at(1), Submission { priority: Low, ..of(low, "b") }).unwrap();
    scheduler.submit(at(2), of(normal, "c")).unwrap();
    scheduler.submit(at(3), Submission { priority: High, ..of(high, "d") }).unwrap();
    scheduler.run_finished(at(4), busy);
    for (before, run, model) in [("a", high, "d"), ("d", normal, "c"), ("c", low, "b")] {
        assert_eq!(scheduler.worker_exited(at(5), before), [Start(name(model))]);
        assert_eq!(scheduler.model_loaded(at(5), model), [Dispatch(run)]);
        scheduler.run_finished(at(5), run);
    }
}

#[test]
fn models_are_evicted_until_the_next_one_fits() {
    let limits = Limits { loaded_models: 9, memory_bytes: Some(10), ..LIMITS };
    let mut scheduler = with_loaded(limits, &["a", "b", "c"]);
    for (model, need) in [("a", 4), ("b", 2), ("c", 4), ("d", 8), ("e", 2)] {
        scheduler.set_memory_need(at(0), model, need);
    }
    let [big, small] = runs();
    assert_eq!(scheduler.submit(at(1), of(big, "d")).unwrap()[0], Stop(name("a"), Evicted));
    // It would fit after the first eviction, but it is not the next model.
    assert_eq!(scheduler.submit(at(1), of(small, "e")), Ok(vec![Position(small, 1)]));
    assert_eq!(scheduler.worker_exited(at(2), "a"), [Stop(name("b"), Evicted)]);
    assert_eq!(scheduler.worker_exited(at(3), "b"), [Stop(name("c"), Evicted)]);
    assert_eq!(scheduler.worker_exited(at(4), "c"), [Start(name("d"))]);
    assert_eq!(scheduler.model_loaded(at(5), "d"), [Dispatch(big), Start(name("e"))]);
}

#[test]
fn no_model_is_evicted_before_enough_memory_can_be_freed() {
    let limits = Limits { loaded_models: 9, memory_bytes: Some(10), ..LIMITS };
    let mut scheduler = with_loaded(limits, &["small", "large"]);
    for (model, need) in [("small", 2), ("large", 7), ("next", 9)] {
        scheduler.set_memory_need(at(0), model, need);
    }
    let [busy, next, again] = runs();
    scheduler.submit(at(1), of(busy, "large")).unwrap();
    assert_eq!(scheduler.submit(at(2), of(next, "next")), Ok(vec![Position(next, 1)]));
    assert_eq!(scheduler.submit(at(3), of(again, "small")), Ok(vec![Dispatch(again)]), "it is still loaded");
    scheduler.run_finished(at(4), again);
    assert_eq!(scheduler.run_finished(at(5), busy), [Stop(name("small"), Evicted)]);
    assert_eq!(scheduler.worker_exited(at(6), "small"), [Stop(name("large"), Evicted)]);
    assert_eq!(scheduler.worker_exited(at(7), "large"), [Start(name("next"))]);
}

#[test]
fn model_that_does_not_fit_beside_pinned_ones_is_refused_with_the_reason() {
    let limits = Limits { loaded_models: 3, memory_bytes: Some(10), ..LIMITS };
    let mut scheduler = Scheduler::new(limits);
    scheduler.set_memory_need(at(0), "a", 6);
    scheduler.set_memory_need(at(0), "b", 5);
    scheduler.set_memory_need(at(0), "c", 11);
    scheduler.pin(at(0), "a");
    scheduler.load(at(0), "a").unwrap();
    scheduler.model_loaded(at(1), "a");
    let holding = vec![(name("a"), 6)];
    let refusal = Refusal::NoMemory { needed: 5, free: 4, holding: holding.clone() };
    assert_eq!(scheduler.submit(at(2), of(RunId::new(), "b")), Err(refusal.clone()));
    assert_eq!(scheduler.load(at(2), "b"), Err(refusal));
    let refusal = Refusal::NoMemory { needed: 11, free: 4, holding };
    assert_eq!(scheduler.submit(at(2), of(RunId::new(), "c")), Err(refusal));
    // The measured need replaces the estimate.
    scheduler.set_memory_need(at(3), "a", 5);
    let run = RunId::new();
    assert_eq!(scheduler.submit(at(4), of(run, "b")).unwrap()[0], Start(name("b")));
}

#[test]
fn model_of_unknown_need_is_loaded_and_its_measured_need_counts() {
    let limits = Limits { loaded_models: 3, memory_bytes: Some(10), ..LIMITS };
    let mut scheduler = with_loaded(limits, &["a"]);
    let (first, second) = (RunId::new(), RunId::new());
    scheduler.set_memory_need(at(0), "a", 10);
    scheduler.set_memory_need(at(0), "b", 1);
    scheduler.submit(at(1), of(first, "a")).unwrap();
    assert_eq!(scheduler.submit(at(1), of(second, "b")), Ok(vec![Position(second, 1)]));
    // The measured need is smaller than the estimate.
    assert_eq!(scheduler.set_memory_need(at(2), "a", 9), [Start(name("b"))]);
}

#[test]
fn load_waits_for_an_eviction_and_is_refused_beside_busy_models() {
    let mut scheduler = with_loaded(LIMITS, &["a"]);
    assert_eq!(scheduler.load(at(1), "b"), Ok(vec![Stop(name("a"), Evicted)]));
    assert_eq!(scheduler.worker_exited(at(2), "a"), [Start(name("b"))]);
    assert_eq!(scheduler.load(at(3), "a"), Err(Refusal::NoRoom(vec![name("b")])), "it is being loaded");
    scheduler.model_loaded(at(4), "b");
    let run = RunId::new();
    scheduler.submit(at(5), of(run, "b")).unwrap();
    assert_eq!(scheduler.load(at(6), "a"), Err(Refusal::NoRoom(vec![name("b")])), "it is busy");
    scheduler.run_finished(at(7), run);

    let limits = Limits { loaded_models: 3, memory_bytes: Some(10), ..LIMITS };
    let mut scheduler = with_loaded(limits, &["a", "b"]);
    scheduler.set_memory_need(at(0), "a", 4);
    scheduler.set_memory_need(at(0), "b", 4);
    scheduler.set_memory_need(at(0), "c", 8);
    scheduler.submit(at(1), of(RunId::new(), "b")).unwrap();
    let refusal = Refusal::NoMemory { needed: 8, free: 6, holding: vec![(name("b"), 4)] };
    assert_eq!(scheduler.load(at(2), "c"), Err(refusal));
}

#[test]
fn pinned_model_remains_and_others_are_refused() {
    let mut scheduler = Scheduler::new(LIMITS);
    scheduler.pin(at(0), "a");
    assert_eq!(scheduler.load(at(0), "a"), Ok(vec![Start(name("a"))]));
    scheduler.model_loaded(at(0), "a");
    assert_eq!(scheduler.load(at(0), "b"), Err(Refusal::NoRoom(vec![name("a")])));
    assert_eq!(scheduler.submit(at(0), of(RunId::new(), "b")), Err(Refusal::NoRoom(vec![name("a")])));
}

#[test]
fn queued_runs_without_room_beside_a_newly_pinned_model_are_refused() {
    let mut scheduler = with_loaded(LIMITS, &["a"]);
    let [busy, first, second] = runs();
    scheduler.submit(at(0), of(busy, "a")).unwrap();
    scheduler.submit(at(1), of(first, "b")).unwrap();
    scheduler.submit(at(1), of(second, "b")).unwrap();
    let refusal = Refusal::NoRoom(vec![name("a")]);
    assert_eq!(scheduler.pin(at(2), "a"), [Refused(first, refusal.clone()), Refused(second, refusal)]);
    assert_eq!(scheduler.cancel(at(3), first), []);

    let limits = Limits { loaded_models: 2, memory_bytes: Some(10), ..LIMITS };
    let mut scheduler = with_loaded(limits, &["a"]);
    scheduler.set_memory_need(at(0), "a", 10);
    scheduler.set_memory_need(at(0), "b", 4);
    scheduler.submit(at(0), of(busy, "a")).unwrap();
    scheduler.submit(at(1), of(first, "b")).unwrap();
    let refusal = Refusal::NoMemory { needed: 11, free: 10, holding: vec![] };
    assert_eq!(scheduler.set_memory_need(at(2), "b", 11), [Refused(first, refusal)]);
}

// Requested loads

#[test]
fn model_loaded_on_request_has_a_turn_without_runs() {
    let mut scheduler = with_loaded(LIMITS, &["a"]);
    let [other, busy, late] = runs();
    scheduler.submit(at(0), of(other, "b")).unwrap();
    assert_eq!(scheduler.load(at(1), "c"), Ok(vec![]));
    assert_eq!(scheduler.worker_exited(at(2), "a"), [Start(name("b"))]);
    assert_eq!(scheduler.model_loaded(at(3), "b"), [Dispatch(other)]);
    scheduler.submit(at(4), of(busy, "b")).unwrap();
    scheduler.submit(at(5), of(late, "b")).unwrap();
    assert_eq!(scheduler.run_finished(at(32), other)[0], Dispatch(busy));
    // Loaded at 3, its turn ends at 33.
    assert_eq!(scheduler.run_finished(at(33), busy), [Stop(name("b"), Evicted)]);
    assert_eq!(scheduler.worker_exited(at(34), "b"), [Start(name("c"))]);
    // It was requested while the other run waits: it is not evicted as soon as it is loaded,
    assert_eq!(scheduler.model_loaded(at(40), "c"), []);
    assert_eq!(scheduler.next_deadline(), Some(at(70)));
    assert_eq!(scheduler.tick(at(69)), []);
    // but after a turn without use.
    assert_eq!(scheduler.tick(at(70)), [Stop(name("c"), Evicted)]);
}

#[test]
fn model_loaded_on_request_is_evictable_after_its_first_run() {
    let mut scheduler = Scheduler::new(LIMITS);
    let [waiting, run] = runs();
    scheduler.load(at(0), "a").unwrap();
    scheduler.submit(at(1), of(waiting, "b")).unwrap();
    assert_eq!(scheduler.model_loaded(at(10), "a"), []);
    assert_eq!(scheduler.submit(at(11), of(run, "a")), Ok(vec![Dispatch(run)]));
    assert_eq!(scheduler.run_finished(at(12), run), [Stop(name("a"), Evicted)]);
}

#[test]
fn end_of_protection_is_no_deadline_while_busy_models_prevent_the_load() {
    let mut scheduler = with_loaded(Limits { loaded_models: 9, memory_bytes: Some(10), ..LIMITS }, &["b"]);
    for (model, need) in [("a", 4), ("b", 4), ("c", 9)] {
        scheduler.set_memory_need(at(0), model, need);
    }
    let busy = RunId::new();
    scheduler.submit(at(0), of(busy, "b")).unwrap();
    scheduler.load(at(1), "a").unwrap();
    scheduler.submit(at(2), of(RunId::new(), "c")).unwrap();
    assert_eq!(scheduler.model_loaded(at(10), "a"), []);
    assert_eq!(scheduler.next_deadline(), None);
    assert_eq!(scheduler.run_finished(at(20), busy), []);
    assert_eq!(scheduler.next_deadline(), Some(at(40)));
    assert_eq!(scheduler.tick(at(40)), [Stop(name("a"), Evicted)]);
}

#[test]
fn model_loaded_on_request_is_evicted_for_a_later_run() {
    let mut scheduler = Scheduler::new(LIMITS);
    scheduler.load(at(0), "a").unwrap();
    scheduler.model_loaded(at(10), "a");
    assert_eq!(scheduler.submit(at(10), of(RunId::new(), "b")).unwrap()[0], Stop(name("a"), Evicted));
}

#[test]
fn model_requested_while_it_stops_is_loaded_again() {
    let mut scheduler = Scheduler::new(LIMITS);
    scheduler.load(at(0), "a").unwrap();
    scheduler.model_loaded(at(1), "a");
    assert_eq!(scheduler.unload(at(2), "a"), Ok(vec![Stop(name("a"), Requested)]));
    assert_eq!(scheduler.load(at(3), "a"), Ok(vec![]));
    assert_eq!(scheduler.worker_exited(at(4), "a"), [Start(name("a"))]);
}

// Idle timeout

/// The time counts from the end of the last run, not from its start (llama-swap 25).
#[test]
fn idle_timeout_counts_from_the_end_of_the_last_run() {
    let mut scheduler = Scheduler::new(Limits { idle_timeout: Some(at(60)), ..LIMITS });
    let [first, second] = runs();
    scheduler.submit(at(0), of(first, "a")).unwrap();
    scheduler.model_loaded(at(10), "a");
    assert_eq!(scheduler.next_deadline(), None);
    assert_eq!(scheduler.tick(at(500)), []);
    scheduler.run_finished(at(500), first);
    assert_eq!(scheduler.next_deadline(), Some(at(560)));
    scheduler.submit(at(559), of(second, "a")).unwrap();
    assert_eq!(scheduler.tick(at(560)), []);
    scheduler.run_finished(at(600), second);
    assert_eq!(scheduler.tick(at(659)), []);
    assert_eq!(scheduler.tick(at(660)), [Stop(name("a"), Idle)]);
}

#[test]
fn unused_model_is_stopped_one_timeout_after_its_load() {
    let mut scheduler = Scheduler::new(Limits { idle_timeout: Some(at(60)), ..LIMITS });
    scheduler.load(at(0), "a").unwrap();
    scheduler.model_loaded(at(10), "a");
    assert_eq!(scheduler.next_deadline(), Some(at(70)));
    assert_eq!(scheduler.tick(at(70)), [Stop(name("a"), Idle)]);
}

/// Before the stop the run gets its slot, after it the model is loaded again (llama-swap 946).
#[test]
fn run_at_the_idle_timeout_is_served() {
    let limits = Limits { idle_timeout: Some(at(60)), ..LIMITS };
    let run = RunId::new();
    for late in [60, 61] {
        let mut scheduler = with_loaded(limits, &["a"]);
        assert_eq!(scheduler.submit(at(late), of(run, "a")), Ok(vec![Dispatch(run)]));
        assert_eq!(scheduler.tick(at(late)), []);
    }
    let mut scheduler = with_loaded(limits, &["a"]);
    assert_eq!(scheduler.tick(at(60)), [Stop(name("a"), Idle)]);
    assert_eq!(scheduler.submit(at(60), of(run, "a")), Ok(vec![Position(run, 1)]));
    assert_eq!(scheduler.worker_exited(at(61), "a"), [Start(name("a"))]);
    assert_eq!(scheduler.model_loaded(at(62), "a"), [Dispatch(run)]);
}

#[test]
fn pinned_models_and_models_without_a_timeout_are_not_stopped() {
    let mut scheduler = with_loaded(Limits { idle_timeout: Some(at(60)), ..LIMITS }, &["a"]);
    scheduler.pin(at(1), "a");
    assert_eq!((scheduler.next_deadline(), scheduler.tick(at(9999))), (None, vec![]));

    let mut scheduler = with_loaded(LIMITS, &["a"]);
    assert_eq!((scheduler.next_deadline(), scheduler.tick(at(9999))), (None, vec![]));
}

// Workers

#[test]
fn exited_worker_is_started_again_for_its_queue_which_fails_with_the_load() {
    let mut scheduler = Scheduler::new(LIMITS);
    let [first, second] = runs();
    scheduler.submit(at(0), of(first, "a")).unwrap();
    scheduler.model_loaded(at(0), "a");
    scheduler.submit(at(0), of(second, "a")).unwrap();
    assert_eq!(scheduler.worker_exited(at(1), "a"), [Start(name("a"))]);
    assert_eq!(scheduler.run_counts("a"), (0, 1));
    assert_eq!(scheduler.load_failed(at(2), "a"), [Unservable(second)]);
}

#[test]
fn model_in_use_is_not_unloaded() {
    let mut scheduler = Scheduler::new(LIMITS);
    let run = RunId::new();
    scheduler.submit(at(0), of(run, "a")).unwrap();
    assert_eq!(scheduler.unload(at(0), "a"), Err(Refusal::InUse));
    scheduler.model_loaded(at(0), "a");
    assert_eq!(scheduler.unload(at(0), "a"), Err(Refusal::InUse));
    scheduler.run_finished(at(0), run);
    assert_eq!(scheduler.unload(at(0), "a"), Ok(vec![Stop(name("a"), Requested)]));
}

#[test]
fn model_unloaded_during_its_load_is_not_used() {
    let mut scheduler = Scheduler::new(LIMITS);
    scheduler.load(at(0), "a").unwrap();
    assert_eq!(scheduler.unload(at(1), "a"), Ok(vec![Stop(name("a"), Requested)]));
    let run = RunId::new();
    scheduler.submit(at(2), of(run, "a")).unwrap();
    assert_eq!(scheduler.model_loaded(at(3), "a"), [], "a late report of the stopped worker");
    assert_eq!(scheduler.worker_exited(at(4), "a"), [Start(name("a"))]);
}

#[test]
fn backward_clock_is_ignored() {
    let mut scheduler = with_loaded(Limits { idle_timeout: Some(at(60)), ..LIMITS }, &["a"]);
    let run = RunId::new();
    scheduler.submit(at(100), of(run, "a")).unwrap();
    scheduler.run_finished(at(10), run);
    assert_eq!(scheduler.next_deadline(), Some(at(160)));
}
