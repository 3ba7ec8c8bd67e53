//! Property tests with random calls. [`World`] carries out the effects, and checks them with its own model of the rules.

use std::collections::BTreeSet;

use proptest::{collection::vec, option, prelude::*};

use super::*;

const MODELS: usize = 4;

#[derive(Debug, Clone)]
enum Step {
    Submit {
        model: usize,
        priority: Priority,
        slots: usize,
    },
    Finish(usize),
    Cancel(usize),
    /// A worker finishes its start or stop.
    Advance(usize),
    Crash(usize),
    FailToLoad,
    Load(usize),
    Unload(usize),
    Pin(usize),
    Need(usize, u64),
    Wait(Duration),
}

fn priorities() -> impl Strategy<Value = Priority> {
    prop_oneof![Just(Low), Just(Normal), Just(High)]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let model = || 0..MODELS;
    let step = prop_oneof![
        20 => (model(), priorities(), 1usize..4)
            .prop_map(|(model, priority, slots)| Step::Submit { model, priority, slots }),
        12 => any::<usize>().prop_map(Step::Finish),
        2 => any::<usize>().prop_map(Step::Cancel),
        12 => any::<usize>().prop_map(Step::Advance),
        2 => any::<usize>().prop_map(Step::Crash),
        2 => Just(Step::FailToLoad),
        4 => model().prop_map(Step::Load),
        2 => model().prop_map(Step::Unload),
        // There is no unpinning: a few are enough to have most models pinned in the end.
        1 => model().prop_map(Step::Pin),
        4 => (model(), 0u64..8).prop_map(|(model, need)| Step::Need(model, need)),
        12 => (0u64..20_000).prop_map(|ms| Step::Wait(Duration::from_millis(ms))),
    ];
    vec(step, 1..150)
}

fn limits() -> impl Strategy<Value = Limits> {
    let counts = (1usize..4, 1usize..4, 0usize..5, 0usize..8, option::of(4u64..12));
    let times = (0u64..30, 0u64..60, option::of(0u64..40));
    (counts, times).prop_map(|((loaded_models, slots, queue_depth, queue_total, memory_bytes), times)| {
        Limits {
            loaded_models,
            slots,
            queue_depth,
            queue_total,
            memory_bytes,
            turn: at(times.0),
            ageing: at(times.1),
            idle_timeout: times.2.map(at),
        }
    })
}

/// A time, and a number that orders events at the same time.
type When = (Duration, usize);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Waiting,
    Running,
    Ended,
}

#[derive(Debug)]
struct Run {
    id: RunId,
    model: usize,
    slots: usize,
    submitted: When,
    /// Levels of its priority below the highest.
    levels: u32,
    stage: Stage,
    position: Option<u32>,
}

#[derive(Debug, Default)]
struct Model {
    phase: Phase,
    pinned: bool,
    need: u64,
    load_request: Option<When>,
    loaded: When,
    unloaded: When,
    used: When,
    on_request: bool,
    served: bool,
}

struct World {
    limits: Limits,
    scheduler: Scheduler,
    /// Receives the same calls, to check that the effects are the same.
    twin: Scheduler,
    now: Duration,
    calls: usize,
    models: [Model; MODELS],
    last_load: When,
    /// In the order of submission.
    runs: Vec<Run>,
    longest_wait: Duration,
}

fn id(model: usize) -> String {
    format!("model-{model}")
}

fn index(model: &str) -> usize {
    model.rsplit('-').next().unwrap().parse().unwrap()
}

impl World {
    fn new(limits: Limits) -> Self {
        let (scheduler, twin) = (Scheduler::new(limits), Scheduler::new(limits));
        let (models, last_load, runs) = Default::default();
        Self { limits, scheduler, twin, now: at(0), calls: 0, models, last_load, runs, longest_wait: at(0) }
    }

    // The rules

    fn runs(&self, model: usize, stage: Stage) -> Vec<&Run> {
        self.runs.iter().filter(|run| run.model == model && run.stage == stage).collect()
    }

    fn all(&self, stage: Stage) -> Vec<RunId> {
        self.runs.iter().filter(|run| run.stage == stage).map(|run| run.id).collect()
    }

    fn queue(&self, model: usize) -> Vec<&Run> {
        let mut queue = self.runs(model, Stage::Waiting);
        queue.sort_by_key(|run| self.rank(run.submitted, run.levels));
        queue
    }

    /// The time of submission at the highest priority that has the same rank.
    fn rank(&self, submitted: When, levels: u32) -> When {
        (submitted.0 + self.limits.ageing * levels, submitted.1)
    }

    fn run(&mut self, id: RunId) -> &mut Run {
        self.runs.iter_mut().find(|run| run.id == id).expect("a submitted run")
    }

    fn in_phase(&self, phases: &[Phase]) -> Vec<usize> {
        (0..MODELS).filter(|model| phases.contains(&self.models[*model].phase)).collect()
    }

    fn free_slots(&self, model: usize) -> usize {
        self.limits.slots - self.runs(model, Stage::Running).iter().map(|run| run.slots).sum::<usize>()
    }

    fn has_room(&self, model: usize, beside: &[usize]) -> bool {
        let beside: Vec<_> = beside.iter().filter(|other| **other != model).collect();
        let needs = beside.iter().map(|other| self.models[**other].need).sum::<u64>();
        let need = self.models[model].need;
        let fits = self.limits.memory_bytes.is_none_or(|bytes| need <= bytes.saturating_sub(needs));
        beside.len() < self.limits.loaded_models && fits
    }

    fn pinned(&self) -> Vec<usize> {
        let there = self.in_phase(&[Phase::Loading, Phase::Loaded]);
        there.into_iter().filter(|model| self.models[*model].pinned).collect()
    }

    /// The models that wait for memory, with the start of the wait.
    fn waiting(&self) -> Vec<(usize, When)> {
        let tickets = self.tickets().into_iter().map(|(model, since, _)| (model, since));
        let oldest = |model| tickets.clone().filter(|(of, _)| *of == model).min();
        (0..MODELS).filter_map(oldest).collect()
    }

    /// The runs and load requests that wait for memory: the model, the start of the wait, and the rank.
    fn tickets(&self) -> Vec<(usize, When, When)> {
        let unloaded = self.in_phase(&[Phase::Unloaded]).into_iter();
        let all = unloaded.flat_map(|model| {
            let runs = self.runs(model, Stage::Waiting).into_iter().map(|run| (run.submitted, run.levels));
            let all: Vec<_> =
                runs.chain(self.models[model].load_request.map(|requested| (requested, 1))).collect();
            all.into_iter()
                .map(move |(begin, levels)| (model, begin.max(self.models[model].unloaded), levels))
        });
        all.map(|(model, since, levels)| (model, since, self.rank(since, levels))).collect()
    }

    /// The model to load next, with the start of its wait.
    fn next(&self) -> Option<(usize, When)> {
        let just_evicted = |model: usize| self.models[model].unloaded > self.last_load;
        let first = self.tickets().into_iter().min_by_key(|(model, _, rank)| (just_evicted(*model), *rank));
        let (next, ..) = first?;
        self.waiting().into_iter().find(|(model, _)| *model == next)
    }

    /// Returns whether the model gets no runs: another model has waited for a turn.
    fn turn_is_over(&self, model: usize) -> bool {
        let staying = self.in_phase(&[Phase::Loading, Phase::Loaded]);
        let pressed = self.next().is_some_and(|(next, _)| !self.has_room(next, &staying));
        let state = &self.models[model];
        let over = |since: When| since.max(state.loaded).0 + self.limits.turn <= self.now;
        let oldest = self.waiting().into_iter().map(|(_, since)| since).min();
        pressed && !state.pinned && state.served && oldest.is_some_and(over)
    }

    fn is_idle(&self, model: usize) -> bool {
        let state = &self.models[model];
        state.phase == Phase::Loaded && !state.pinned && self.runs(model, Stage::Running).is_empty()
    }

    /// Returns whether an idle model isn't evicted yet, since it was loaded on request.
    fn is_protected(&self, model: usize) -> bool {
        let state = &self.models[model];
        let in_time = state.on_request && !state.served && self.now < state.loaded.0 + self.limits.turn;
        in_time && self.next().is_some_and(|(_, since)| since < state.loaded)
    }

    /// Returns whether there is room for the model, now or after all possible evictions.
    fn can_make_room(&self, model: usize) -> bool {
        let mut staying = self.in_phase(&[Phase::Loading, Phase::Loaded]);
        staying.retain(|other| !self.is_idle(*other) || self.is_protected(*other));
        self.has_room(model, &staying)
    }

    // The calls

    fn call<T: PartialEq + std::fmt::Debug>(&mut self, call: impl Fn(&mut Scheduler, Duration) -> T) -> T {
        let answer = call(&mut self.scheduler, self.now);
        assert_eq!(answer, call(&mut self.twin, self.now), "the same calls have other effects");
        self.calls += 1;
        answer
    }

    fn when(&self) -> When {
        (self.now, self.calls)
    }

    fn submit(&mut self, model: usize, priority: Priority, slots: usize) -> Option<RunId> {
        let submission = Submission { run: RunId::new(), model: id(model), priority, slots };
        let answer = self.call(|scheduler, now| scheduler.submit(now, submission.clone()));
        let run = Run {
            id: submission.run,
            model,
            slots: slots.min(self.limits.slots),
            submitted: self.when(),
            levels: High as u32 - priority as u32,
            stage: Stage::Waiting,
            position: None,
        };
        let there = matches!(self.models[model].phase, Phase::Loading | Phase::Loaded);
        let has_room = there || self.has_room(model, &self.pinned());
        let (queue, all) = (self.queue(model), self.all(Stage::Waiting).len());
        let full = queue.len() >= self.limits.queue_depth || all >= self.limits.queue_total;
        let rank = |run: &Run| self.rank(run.submitted, run.levels);
        let first = queue.first().is_none_or(|first| rank(&run) < rank(first));
        let free = self.models[model].phase == Phase::Loaded && run.slots <= self.free_slots(model);
        let starts = first && free && !self.turn_is_over(model);
        match answer {
            Ok(effects) => {
                assert!(has_room && (starts || !full), "a run was admitted to a full queue");
                assert_eq!(starts, effects.contains(&Dispatch(run.id)));
                self.runs.push(run);
                self.apply(effects);
                Some(submission.run)
            }
            Err(Refusal::QueueFull) => {
                assert!(full && !starts && has_room, "a run was refused by a queue with room");
                None
            }
            Err(refusal) => {
                assert!(!has_room, "there is room: {refusal:?}");
                None
            }
        }
    }

    fn finish(&mut self, run: RunId) {
        let effects = self.call(|scheduler, now| scheduler.run_finished(now, run));
        let when = self.when();
        let model = self.run(run).model;
        self.run(run).stage = Stage::Ended;
        self.models[model].used = when;
        self.apply(effects);
    }

    fn cancel(&mut self, run: RunId) {
        let effects = self.call(|scheduler, now| scheduler.cancel(now, run));
        let runs = self.run(run).stage == Stage::Running;
        let expected = if runs { Abort(run) } else { Dropped(run) };
        if runs {
            self.run(run).slots = 0;
        }
        assert_eq!(effects[0], expected);
        let touches_others = |effect: &Effect| matches!(effect, Abort(_) | Dropped(_) | Refused(..));
        assert!(!effects[1..].iter().any(touches_others), "a cancel ended another run");
        self.apply(effects);
    }

    fn ready(&mut self, model: usize) {
        let effects = self.call(|scheduler, now| scheduler.model_loaded(now, &id(model)));
        let (when, state) = (self.when(), &mut self.models[model]);
        (state.phase, state.loaded, state.used, state.served) = (Phase::Loaded, when, when, false);
        state.on_request = state.load_request.take().is_some();
        self.apply(effects);
    }

    /// A worker exits, after a stop or by a crash.
    fn exit(&mut self, model: usize) {
        let effects = self.call(|scheduler, now| scheduler.worker_exited(now, &id(model)));
        self.end_worker(model);
        self.apply(effects);
    }

    /// A worker finishes its start or stop.
    fn advance(&mut self, model: usize) {
        match self.models[model].phase {
            Phase::Loading => self.ready(model),
            _ => self.exit(model),
        }
    }

    fn end_worker(&mut self, model: usize) {
        let (when, state) = (self.when(), &mut self.models[model]);
        state.unloaded = when;
        state.load_request.take_if(|_| state.phase != Phase::Stopping);
        state.phase = Phase::Unloaded;
        let running = self.runs.iter_mut().filter(|run| run.model == model && run.stage == Stage::Running);
        running.for_each(|run| run.stage = Stage::Ended);
    }

    fn fail_to_load(&mut self, model: usize) {
        let effects = self.call(|scheduler, now| scheduler.load_failed(now, &id(model)));
        let queue: BTreeSet<_> = self.queue(model).iter().map(|run| run.id).collect();
        let failed = effects.iter().filter_map(|e| if let Unservable(run) = e { Some(*run) } else { None });
        assert_eq!(failed.collect::<BTreeSet<_>>(), queue, "the queued runs were not failed");
        self.end_worker(model);
        self.apply(effects);
    }

    fn load(&mut self, model: usize) {
        let answer = self.call(|scheduler, now| scheduler.load(now, &id(model)));
        let when = self.when();
        let phase = self.models[model].phase;
        let there = self.in_phase(&[Phase::Loading, Phase::Loaded]);
        let busy: Vec<_> = there.into_iter().filter(|other| !self.is_idle(*other)).collect();
        let has_room = phase != Phase::Unloaded || self.has_room(model, &busy);
        assert_eq!(answer.is_ok(), has_room, "{answer:?}");
        let Ok(effects) = answer else { return };
        if phase != Phase::Loaded {
            self.models[model].load_request.get_or_insert(when);
        }
        self.apply(effects);
    }

    fn unload(&mut self, model: usize) {
        let answer = self.call(|scheduler, now| scheduler.unload(now, &id(model)));
        let in_use = !self.queue(model).is_empty() || !self.runs(model, Stage::Running).is_empty();
        assert_eq!(answer == Err(Refusal::InUse), in_use);
        let Ok(mut effects) = answer else { return };
        self.models[model].load_request = None;
        if matches!(self.models[model].phase, Phase::Loading | Phase::Loaded) {
            assert_eq!(effects.remove(0), Stop(id(model), Requested));
            self.models[model].phase = Phase::Stopping;
        }
        self.apply(effects);
    }

    fn pin(&mut self, model: usize) {
        let effects = self.call(|scheduler, now| scheduler.pin(now, &id(model)));
        self.models[model].pinned = true;
        self.apply(effects);
    }

    fn need(&mut self, model: usize, need: u64) {
        let effects = self.call(|scheduler, now| scheduler.set_memory_need(now, &id(model), need));
        self.models[model].need = need;
        self.apply(effects);
    }

    /// Lets time pass. At each deadline the scheduler must have effects, and none before.
    fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(deadline) = self.scheduler.next_deadline().filter(|deadline| *deadline <= end) {
            assert!(deadline > self.now, "a deadline that has passed");
            self.now = deadline - Duration::from_nanos(1);
            assert_eq!(self.call(Scheduler::tick), [], "before the deadline");
            self.now = deadline;
            let effects = self.call(Scheduler::tick);
            assert_ne!(effects, [], "nothing at the deadline");
            self.apply(effects);
        }
        self.now = end;
        assert_eq!(self.call(Scheduler::tick), [], "an unreported deadline");
    }

    // The checks

    fn apply(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            self.drop_unservable_requests();
            match effect {
                Start(model) => self.check_start(index(&model)),
                Stop(model, reason) => self.check_stop(index(&model), reason),
                Dispatch(run) => self.check_dispatch(run),
                Dropped(run) | Unservable(run) => self.leave_queue(run),
                Refused(run, _) => {
                    let model = self.run(run).model;
                    assert!(!self.has_room(model, &self.pinned()), "refused despite room");
                    self.leave_queue(run);
                }
                Position(run, place) => {
                    let run = self.run(run);
                    assert_eq!(run.stage, Stage::Waiting);
                    assert_ne!(
                        run.position.replace(place),
                        Some(place),
                        "the same position was reported twice"
                    );
                }
                Abort(run) => assert_eq!(self.run(run).stage, Stage::Running),
            }
        }
        self.drop_unservable_requests();
        self.check();
    }

    /// Drops load requests that have no room. There is no effect for it.
    fn drop_unservable_requests(&mut self) {
        let pinned = self.pinned();
        for model in self.in_phase(&[Phase::Unloaded]) {
            if !self.has_room(model, &pinned) {
                self.models[model].load_request = None;
            }
        }
    }

    fn leave_queue(&mut self, run: RunId) {
        assert_eq!(self.run(run).stage, Stage::Waiting, "a run ended twice");
        self.run(run).stage = Stage::Ended;
    }

    fn check_start(&mut self, model: usize) {
        assert!(self.in_phase(&[Phase::Loading]).is_empty(), "two loads at once");
        assert_eq!(self.next().map(|(next, _)| next), Some(model), "loaded out of order");
        let there = self.in_phase(&[Phase::Loading, Phase::Loaded, Phase::Stopping]);
        assert!(self.has_room(model, &there), "more memory used than the limit");
        self.models[model].phase = Phase::Loading;
        self.last_load = self.when();
    }

    fn check_stop(&mut self, model: usize, reason: StopReason) {
        assert!(self.is_idle(model), "stopped while pinned or in use");
        let (queued, state) = (self.queue(model).len(), &self.models[model]);
        match reason {
            Requested => unreachable!("no unload was requested"),
            Idle => {
                assert!(queued == 0 && state.used.0 + self.limits.idle_timeout.unwrap() <= self.now);
            }
            Evicted => {
                let changing = self.in_phase(&[Phase::Stopping, Phase::Loading]);
                assert!(changing.is_empty(), "two changes at once");
                let (next, _) = self.next().expect("evicted without a waiting model");
                assert!(!self.has_room(next, &self.in_phase(&[Phase::Loaded])), "evicted despite room");
                assert!(self.can_make_room(next), "evicted before enough memory can be freed");
                assert!(queued == 0 || self.turn_is_over(model), "its turn was not over");
                assert!(!self.is_protected(model), "evicted despite its protection");
                let certain = |other: &usize| {
                    self.is_idle(*other) && self.queue(*other).is_empty() && !self.is_protected(*other)
                };
                let mut others = (0..MODELS).filter(certain);
                assert!(queued == 0 || others.next().is_none(), "evicted before one without runs");
                let used = state.used;
                assert!(
                    queued > 0 || others.all(|other| used <= self.models[other].used),
                    "not the least recently used"
                );
            }
        }
        self.models[model].phase = Phase::Stopping;
    }

    fn check_dispatch(&mut self, id: RunId) {
        let (model, stage, submitted) = (self.run(id).model, self.run(id).stage, self.run(id).submitted);
        assert_eq!(stage, Stage::Waiting, "dispatched twice, or after its end");
        assert_eq!(self.models[model].phase, Phase::Loaded, "dispatched without a worker");
        let queue = self.queue(model);
        assert_eq!(queue[0].id, id, "overtaken");
        assert!(queue[0].slots <= self.free_slots(model), "more slots used than the worker has");
        assert!(!self.turn_is_over(model), "dispatched after the turn");
        self.models[model].served = true;
        self.longest_wait = self.longest_wait.max(self.now - submitted.0);
        self.run(id).stage = Stage::Running;
    }

    fn check(&mut self) {
        let Limits { queue_depth, queue_total, .. } = self.limits;
        assert!(self.all(Stage::Waiting).len() <= queue_total, "too many runs wait");
        assert_eq!(self.scheduler.queued_count(), self.all(Stage::Waiting).len());
        for model in 0..MODELS {
            let queue = self.queue(model);
            let running = self.runs(model, Stage::Running);
            assert!(queue.len() <= queue_depth, "too many runs wait for one model");
            assert_eq!(self.scheduler.run_counts(&id(model)), (running.len(), queue.len()));
            let positions = queue.iter().map(|run| run.position);
            assert!(positions.eq((1..).map(Some).take(queue.len())), "wrong positions were reported");
            if let (Phase::Loaded, Some(first)) = (self.models[model].phase, queue.first()) {
                let waits_for_slots = first.slots > self.free_slots(model);
                assert!(waits_for_slots || self.turn_is_over(model), "a free slot isn't used");
            }
        }
        for (model, _) in self.waiting() {
            assert!(self.has_room(model, &self.pinned()), "a model waits that can't be loaded");
        }
        let changing = self.in_phase(&[Phase::Loading, Phase::Stopping]);
        if let (Some((next, _)), true) = (self.next(), changing.is_empty()) {
            assert!(!self.can_make_room(next), "a model waits for unused memory");
        }
        assert_eq!(self.call(Scheduler::tick), [], "the rules had further effects");
    }

    fn execute(&mut self, step: &Step) {
        let nth = |items: &[usize], n: usize| items.get(n % items.len().max(1)).copied();
        match *step {
            Step::Submit { model, priority, slots } => {
                self.submit(model, priority, slots);
            }
            Step::Finish(n) => {
                let running = self.all(Stage::Running);
                if !running.is_empty() {
                    self.finish(running[n % running.len()]);
                }
            }
            Step::Cancel(n) => {
                let open = [self.all(Stage::Running), self.all(Stage::Waiting)].concat();
                if !open.is_empty() {
                    self.cancel(open[n % open.len()]);
                }
            }
            Step::Advance(n) => {
                if let Some(model) = nth(&self.in_phase(&[Phase::Loading, Phase::Stopping]), n) {
                    self.advance(model);
                }
            }
            Step::Crash(n) => {
                if let Some(model) = nth(&self.in_phase(&[Phase::Loaded]), n) {
                    self.exit(model);
                }
            }
            Step::FailToLoad => {
                if let Some(model) = nth(&self.in_phase(&[Phase::Loading]), 0) {
                    self.fail_to_load(model);
                }
            }
            Step::Load(model) => self.load(model),
            Step::Unload(model) => self.unload(model),
            Step::Pin(model) => self.pin(model),
            Step::Need(model, need) => self.need(model, need),
            Step::Wait(time) => self.wait(time),
        }
    }
}

proptest! {
    #[test]
    fn random_calls_keep_the_rules_and_every_run_ends_once(
        limits in limits(), steps in steps(),
    ) {
        let mut world = World::new(limits);
        for step in steps {
            world.execute(&step);
        }
        // Without further calls from clients every open run is dispatched and ends.
        for _ in 0..1000 {
            if let Some(run) = world.all(Stage::Running).first() {
                world.finish(*run);
            } else if !world.in_phase(&[Phase::Loading, Phase::Stopping]).is_empty() {
                world.execute(&Step::Advance(0));
            } else if let Some(deadline) = world.scheduler.next_deadline() {
                world.wait(deadline - world.now);
            }
        }
        prop_assert_eq!(world.all(Stage::Waiting), [], "starved");
        prop_assert_eq!(world.waiting(), [], "a load request was lost");
    }
}

/// A submitted run or a requested load, some time after the last one.
#[derive(Debug, Clone)]
struct Arrival {
    gap: u64,
    model: usize,
    /// Duration of the run in milliseconds; `None` for a requested load.
    takes: Option<u64>,
    priority: Priority,
    slots: usize,
}

fn arrivals() -> impl Strategy<Value = Vec<Arrival>> {
    let takes = prop_oneof![1 => Just(None), 30 => (1u64..5000).prop_map(Some)];
    // Some models and priorities are much more frequent than others.
    let model = prop_oneof![6 => 0usize..2, 1 => 0..MODELS];
    let priority = prop_oneof![8 => Just(High), 2 => Just(Normal), 1 => Just(Low)];
    let arrival = (0u64..1500, model, takes, priority, 1usize..4)
        .prop_map(|(gap, model, takes, priority, slots)| Arrival { gap, model, takes, priority, slots });
    vec(arrival, 1..400)
}

proptest! {
    /// The bound: no run that is submitted two ageing times later overtakes a run. Of the runs before it in its own queue
    /// at least one is dispatched each time that its model is loaded. For a load the model waits two ageing times, and then
    /// for the models before it: each takes a cycle of a turn, a run, the stops and a load.
    #[test]
    fn no_run_starves_with_random_arrivals(
        limits in limits(), arrivals in arrivals(), needs in [0u64..4, 0..4, 0..4, 0..4],
        load in 0u64..5000, stop in 0u64..1000,
    ) {
        let millis = Duration::from_millis;
        let (load, stop) = (millis(load), millis(stop));
        let requests = arrivals.iter().filter(|arrival| arrival.takes.is_none()).count();
        let cycle = limits.turn + millis(5000) + stop * 4 + load;
        let visit = limits.ageing * 2 + cycle * u32::try_from(MODELS + requests).unwrap();
        let bound = limits.ageing * 2 + visit * u32::try_from(limits.queue_depth + 1).unwrap();

        let mut world = World::new(limits);
        for (model, need) in needs.into_iter().enumerate() {
            world.need(model, need);
        }
        let mut takes = HashMap::new();
        let mut arrivals = arrivals.into_iter().peekable();
        let mut last_arrival = at(0);
        // The current runs, loads and stops, with the time at which each ends.
        let mut runs: BTreeMap<RunId, Duration> = BTreeMap::new();
        let mut changes: BTreeMap<usize, Duration> = BTreeMap::new();
        loop {
            for run in world.all(Stage::Running) {
                runs.entry(run).or_insert(world.now + takes[&run]);
            }
            for model in world.in_phase(&[Phase::Loading, Phase::Stopping]) {
                let takes = if world.models[model].phase == Phase::Loading { load } else { stop };
                changes.entry(model).or_insert(world.now + takes);
            }
            let arrival = arrivals.peek().map(|arrival| last_arrival + millis(arrival.gap));
            let run = runs.iter().map(|(run, end)| (*end, *run)).min();
            let change = changes.iter().map(|(model, end)| (*end, *model)).min();
            let ends = [arrival, run.map(|(end, _)| end), change.map(|(end, _)| end)];
            let next = ends.into_iter().flatten().chain(world.scheduler.next_deadline()).min();
            let Some(next) = next else { break };
            world.wait(next.saturating_sub(world.now));
            if let Some((_, run)) = run.filter(|(end, _)| *end <= next) {
                runs.remove(&run);
                world.finish(run);
            } else if let Some((_, model)) = change.filter(|(end, _)| *end <= next) {
                changes.remove(&model);
                world.advance(model);
            } else if let Some(arrival) = arrival.filter(|when| *when <= next).and_then(|_| arrivals.next()) {
                last_arrival = next;
                match arrival.takes {
                    None => world.load(arrival.model),
                    Some(ms) => {
                        let run = world.submit(arrival.model, arrival.priority, arrival.slots);
                        takes.extend(run.map(|run| (run, millis(ms))));
                    }
                }
            }
        }
        prop_assert_eq!(world.all(Stage::Waiting), [], "starved");
        prop_assert!(world.longest_wait <= bound, "waited {:?} of {:?}", world.longest_wait, bound);
    }
}
