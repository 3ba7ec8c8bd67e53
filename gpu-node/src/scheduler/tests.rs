use std::collections::{HashMap, HashSet};

use proptest::prelude::*;

use super::*;
use Effect::{Abort, Dispatch, Dropped, Position, Start, Stop, Unservable};

const LIMITS: Limits = Limits { loaded_models: 1, slots: 1, queue_depth: 2 };

fn name(model: &str) -> String {
    model.to_owned()
}

#[test]
fn a_run_loads_its_model_then_gets_a_slot() {
    let mut scheduler = Scheduler::new(LIMITS);
    let run = RunId::new();
    assert_eq!(scheduler.submit(run, "a"), Ok(vec![Start(name("a")), Position(run, 1)]));
    assert_eq!(scheduler.ready("a"), [Dispatch(run)]);
    assert_eq!(scheduler.finished(run), []);
}

#[test]
fn the_queue_is_bounded_and_its_places_are_told() {
    let mut scheduler = Scheduler::new(LIMITS);
    let [first, second, third, fourth] = [(); 4].map(|()| RunId::new());
    scheduler.submit(first, "a").unwrap();
    scheduler.ready("a");
    assert_eq!(scheduler.submit(second, "a"), Ok(vec![Position(second, 1)]));
    assert_eq!(scheduler.submit(third, "a"), Ok(vec![Position(third, 2)]));
    assert_eq!(scheduler.submit(fourth, "a"), Err(Refusal::QueueFull));
    assert_eq!(scheduler.finished(first), [Dispatch(second), Position(third, 1)]);
}

#[test]
fn a_cancel_takes_a_queued_run_out_and_stops_a_running_one() {
    let mut scheduler = Scheduler::new(LIMITS);
    let [first, second, third] = [(); 3].map(|()| RunId::new());
    scheduler.submit(first, "a").unwrap();
    scheduler.ready("a");
    scheduler.submit(second, "a").unwrap();
    scheduler.submit(third, "a").unwrap();
    assert_eq!(scheduler.cancel(second), [Dropped(second), Position(third, 1)]);
    assert_eq!(scheduler.cancel(first), [Abort(first)]);
    assert_eq!(scheduler.finished(first), [Dispatch(third)]);
    assert_eq!(scheduler.cancel(first), []);
}

#[test]
fn a_full_memory_evicts_the_idle_model_and_never_a_busy_one() {
    let mut scheduler = Scheduler::new(LIMITS);
    let [first, second, third] = [(); 3].map(|()| RunId::new());
    scheduler.submit(first, "a").unwrap();
    scheduler.ready("a");
    assert_eq!(scheduler.submit(second, "b"), Ok(vec![Position(second, 1)]));
    // Younger than what waits for memory: it stays back, so that "a" falls idle.
    assert_eq!(scheduler.submit(third, "a"), Ok(vec![Position(third, 1)]));
    assert_eq!(scheduler.finished(first), [Stop(name("a"))]);
    assert_eq!(scheduler.gone("a"), [Start(name("b"))]);
    assert_eq!(scheduler.ready("b"), [Dispatch(second)]);
    // And then it is the other's turn.
    assert_eq!(scheduler.finished(second), [Stop(name("b"))]);
    assert_eq!(scheduler.gone("b"), [Start(name("a"))]);
    assert_eq!(scheduler.ready("a"), [Dispatch(third)]);
}

#[test]
fn a_pinned_model_stays_and_others_are_told_so() {
    let mut scheduler = Scheduler::new(LIMITS);
    scheduler.pin("a");
    assert_eq!(scheduler.load("a"), Ok(vec![Start(name("a"))]));
    scheduler.ready("a");
    assert_eq!(scheduler.load("b"), Err(Refusal::NoRoom(vec![name("a")])));
    assert_eq!(scheduler.submit(RunId::new(), "b"), Err(Refusal::NoRoom(vec![name("a")])));
}

#[test]
fn a_dead_worker_is_started_again_for_its_queue_and_given_up_when_it_cannot_load() {
    let mut scheduler = Scheduler::new(LIMITS);
    let [first, second] = [(); 2].map(|()| RunId::new());
    scheduler.submit(first, "a").unwrap();
    scheduler.ready("a");
    scheduler.submit(second, "a").unwrap();
    assert_eq!(scheduler.gone("a"), [Start(name("a"))]);
    assert_eq!(scheduler.unloadable("a"), [Unservable(second)]);
}

#[test]
fn a_model_in_use_is_not_unloaded() {
    let mut scheduler = Scheduler::new(LIMITS);
    let run = RunId::new();
    scheduler.submit(run, "a").unwrap();
    scheduler.ready("a");
    assert_eq!(scheduler.unload("a"), Err(Refusal::InUse));
    scheduler.finished(run);
    assert_eq!(scheduler.unload("a"), Ok(vec![Stop(name("a"))]));
}

#[test]
fn a_model_that_is_wanted_while_it_stops_comes_back() {
    let mut scheduler = Scheduler::new(LIMITS);
    scheduler.load("a").unwrap();
    scheduler.ready("a");
    assert_eq!(scheduler.unload("a"), Ok(vec![Stop(name("a"))]));
    assert_eq!(scheduler.load("a"), Ok(vec![]));
    assert_eq!(scheduler.gone("a"), [Start(name("a"))]);
}

#[derive(Debug, Clone)]
enum Step {
    Submit(u8),
    Finish(u8),
    Cancel(u8),
    Advance,
    Crash(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0u8..4).prop_map(Step::Submit),
        3 => any::<u8>().prop_map(Step::Finish),
        1 => any::<u8>().prop_map(Step::Cancel),
        4 => Just(Step::Advance),
        1 => any::<u8>().prop_map(Step::Crash),
    ];
    proptest::collection::vec(step, 1..120)
}

/// A world that does what the effects say, and checks what must hold.
#[derive(Default)]
struct World {
    open: HashSet<RunId>,
    model_of: HashMap<RunId, String>,
    running: Vec<RunId>,
    loading: Vec<String>,
    loaded: Vec<String>,
    stopping: Vec<String>,
}

impl World {
    fn apply(&mut self, effects: Vec<Effect>, limits: Limits) {
        for effect in effects {
            match effect {
                Start(model) => self.loading.push(model),
                Stop(model) => {
                    assert!(self.running.iter().all(|run| self.model_of[run] != model), "evicted in use");
                    self.loaded.retain(|m| *m != model);
                    self.stopping.push(model);
                }
                Dispatch(run) => {
                    assert!(self.open.contains(&run) && !self.running.contains(&run), "run twice or lost");
                    assert!(self.loaded.contains(&self.model_of[&run]), "sent to no worker");
                    self.running.push(run);
                }
                Dropped(run) | Unservable(run) => {
                    assert!(!self.running.contains(&run) && self.open.remove(&run), "ended twice");
                }
                Abort(_) | Position(..) => {}
            }
        }
        let resident = self.loading.len() + self.loaded.len() + self.stopping.len();
        assert!(resident <= limits.loaded_models, "too many models in memory");
        assert!(self.loading.len() <= 1, "two loads at once");
        for model in &self.loaded {
            let running = self.running.iter().filter(|run| self.model_of[*run] == *model).count();
            assert!(running <= limits.slots, "too many runs in a worker");
        }
    }

    /// Lets a worker that is starting or stopping get there.
    fn advance(&mut self, scheduler: &mut Scheduler, limits: Limits) {
        if let Some(model) = self.loading.pop() {
            self.loaded.push(model.clone());
            self.apply(scheduler.ready(&model), limits);
        } else if let Some(model) = self.stopping.pop() {
            self.apply(scheduler.gone(&model), limits);
        }
    }

    fn finish(&mut self, scheduler: &mut Scheduler, run: RunId, limits: Limits) {
        self.running.retain(|r| *r != run);
        assert!(self.open.remove(&run));
        self.apply(scheduler.finished(run), limits);
    }
}

proptest! {
    #[test]
    fn whatever_happens_no_run_is_lost_or_run_twice_and_bounds_hold(
        steps in steps(), loaded_models in 1usize..3, slots in 1usize..3, queue_depth in 1usize..4,
    ) {
        let limits = Limits { loaded_models, slots, queue_depth };
        let mut scheduler = Scheduler::new(limits);
        let mut world = World::default();
        for step in steps {
            match step {
                Step::Submit(model) => {
                    let (run, model) = (RunId::new(), format!("model-{model}"));
                    world.model_of.insert(run, model.clone());
                    world.open.insert(run);
                    match scheduler.submit(run, &model) {
                        Ok(effects) => world.apply(effects, limits),
                        Err(_) => { world.open.remove(&run); }
                    }
                }
                Step::Finish(n) if !world.running.is_empty() => {
                    let run = world.running[usize::from(n) % world.running.len()];
                    world.finish(&mut scheduler, run, limits);
                }
                Step::Cancel(n) if !world.open.is_empty() => {
                    let mut open: Vec<_> = world.open.iter().copied().collect();
                    open.sort();
                    let effects = scheduler.cancel(open[usize::from(n) % open.len()]);
                    world.apply(effects, limits);
                }
                Step::Crash(n) if !world.loaded.is_empty() => {
                    let model = world.loaded.remove(usize::from(n) % world.loaded.len());
                    let dead: Vec<_> = world.running.iter().copied().filter(|r| world.model_of[r] == model).collect();
                    for run in dead {
                        world.running.retain(|r| *r != run);
                        world.open.remove(&run);
                    }
                    let effects = scheduler.gone(&model);
                    world.apply(effects, limits);
                }
                Step::Advance => world.advance(&mut scheduler, limits),
                _ => {}
            }
        }
        // Left alone, every run that is still open gets its turn.
        for _ in 0..2000 {
            if world.open.is_empty() { break; }
            match world.running.first().copied() {
                Some(run) => world.finish(&mut scheduler, run, limits),
                None => world.advance(&mut scheduler, limits),
            }
        }
        prop_assert!(world.open.is_empty(), "starved: {:?}", world.open);
    }
}
