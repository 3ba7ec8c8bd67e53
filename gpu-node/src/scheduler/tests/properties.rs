//! What holds whatever happens. [`World`] does what the effects say, and knows the rules in its own way.

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
    /// A worker that starts or stops gets there.
    Advance(usize),
    Crash(usize),
    FailToLoad,
    Load(usize),
    Unload(usize),
    Pin(usize),
    Unpin(usize),
    Need(usize, u64),
    Wait(Duration),
}

fn priorities() -> impl Strategy<Value = Priority> {
    prop_oneof![Just(Low), Just(Normal), Just(High)]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let model = || 0..MODELS;
    let step = prop_oneof![
        10 => (model(), priorities(), 1usize..4)
            .prop_map(|(model, priority, slots)| Step::Submit { model, priority, slots }),
        6 => any::<usize>().prop_map(Step::Finish),
        1 => any::<usize>().prop_map(Step::Cancel),
        6 => any::<usize>().prop_map(Step::Advance),
        1 => any::<usize>().prop_map(Step::Crash),
        1 => Just(Step::FailToLoad),
        2 => model().prop_map(Step::Load),
        1 => model().prop_map(Step::Unload),
        1 => model().prop_map(Step::Pin),
        2 => model().prop_map(Step::Unpin),
        2 => (model(), 0u64..8).prop_map(|(model, need)| Step::Need(model, need)),
        6 => (0u64..20_000).prop_map(|ms| Step::Wait(Duration::from_millis(ms))),
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

/// A time and, for what is at the same time, which came first.
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
    came: When,
    /// How many levels its priority is below the highest.
    levels: u32,
    stage: Stage,
    told: Option<u32>,
}

#[derive(Debug, Default)]
struct Model {
    phase: Phase,
    pinned: bool,
    need: u64,
    wanted: Option<When>,
    loaded: When,
    left: When,
    used: When,
    asked: bool,
    served: bool,
}

struct World {
    limits: Limits,
    scheduler: Scheduler,
    /// Gets the same calls.
    twin: Scheduler,
    now: Duration,
    calls: usize,
    models: [Model; MODELS],
    last_load: When,
    /// In the order in which they came.
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

    // What it knows

    fn runs(&self, model: usize, stage: Stage) -> Vec<&Run> {
        self.runs.iter().filter(|run| run.model == model && run.stage == stage).collect()
    }

    fn all(&self, stage: Stage) -> Vec<RunId> {
        self.runs.iter().filter(|run| run.stage == stage).map(|run| run.id).collect()
    }

    fn queue(&self, model: usize) -> Vec<&Run> {
        let mut queue = self.runs(model, Stage::Waiting);
        queue.sort_by_key(|run| self.rank(run.came, run.levels));
        queue
    }

    /// When one would have come at the highest priority.
    fn rank(&self, came: When, levels: u32) -> When {
        (came.0 + self.limits.ageing * levels, came.1)
    }

    fn run(&mut self, id: RunId) -> &mut Run {
        self.runs.iter_mut().find(|run| run.id == id).expect("a run that came")
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

    /// The models that wait for memory, and since when.
    fn waiting(&self) -> Vec<(usize, When)> {
        let tickets = self.tickets().into_iter().map(|(model, since, _)| (model, since));
        let oldest = |model| tickets.clone().filter(|(of, _)| *of == model).min();
        (0..MODELS).filter_map(oldest).collect()
    }

    /// What waits for memory: its model, since when, and its rank.
    fn tickets(&self) -> Vec<(usize, When, When)> {
        let unloaded = self.in_phase(&[Phase::Unloaded]).into_iter();
        let all = unloaded.flat_map(|model| {
            let runs = self.runs(model, Stage::Waiting).into_iter().map(|run| (run.came, run.levels));
            let all: Vec<_> = runs.chain(self.models[model].wanted.map(|came| (came, 1))).collect();
            all.into_iter().map(move |(came, levels)| (model, came.max(self.models[model].left), levels))
        });
        all.map(|(model, since, levels)| (model, since, self.rank(since, levels))).collect()
    }

    /// The model to be loaded next, and since when it waits.
    fn next(&self) -> Option<(usize, When)> {
        let just_left = |model: usize| self.models[model].left > self.last_load;
        let first = self.tickets().into_iter().min_by_key(|(model, _, rank)| (just_left(*model), *rank));
        let (next, ..) = first?;
        self.waiting().into_iter().find(|(model, _)| *model == next)
    }

    /// Whether the model may not take runs: another has waited for a turn.
    fn is_held(&self, model: usize) -> bool {
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

    /// Whether an idle model stays for now, since it was asked for.
    fn is_kept(&self, model: usize) -> bool {
        let state = &self.models[model];
        let kept = state.asked && !state.served && self.now < state.loaded.0 + self.limits.turn;
        kept && self.next().is_some_and(|(_, since)| since < state.loaded)
    }

    /// Whether there is room for the model, or would be if all went that may.
    fn can_make_room(&self, model: usize) -> bool {
        let mut staying = self.in_phase(&[Phase::Loading, Phase::Loaded]);
        staying.retain(|other| !self.is_idle(*other) || self.is_kept(*other));
        self.has_room(model, &staying)
    }

    // What it does

    fn call<T: PartialEq + std::fmt::Debug>(&mut self, call: impl Fn(&mut Scheduler, Duration) -> T) -> T {
        let answer = call(&mut self.scheduler, self.now);
        assert_eq!(answer, call(&mut self.twin, self.now), "the same calls, other effects");
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
            came: self.when(),
            levels: High as u32 - priority as u32,
            stage: Stage::Waiting,
            told: None,
        };
        let there = matches!(self.models[model].phase, Phase::Loading | Phase::Loaded);
        let has_room = there || self.has_room(model, &self.pinned());
        let (queue, all) = (self.queue(model), self.all(Stage::Waiting).len());
        let full = queue.len() >= self.limits.queue_depth || all >= self.limits.queue_total;
        let rank = |run: &Run| self.rank(run.came, run.levels);
        let first = queue.first().is_none_or(|first| rank(&run) < rank(first));
        let free = self.models[model].phase == Phase::Loaded && run.slots <= self.free_slots(model);
        let starts = first && free && !self.is_held(model);
        match answer {
            Ok(effects) => {
                assert!(has_room && (starts || !full), "a run too many");
                assert_eq!(starts, effects.contains(&Dispatch(run.id)));
                self.runs.push(run);
                self.apply(effects);
                Some(submission.run)
            }
            Err(Refusal::QueueFull) => {
                assert!(full && !starts && has_room, "refused beside free places");
                None
            }
            Err(refusal) => {
                assert!(!has_room, "there is room: {refusal:?}");
                None
            }
        }
    }

    fn finish(&mut self, run: RunId) {
        let effects = self.call(|scheduler, now| scheduler.finished(now, run));
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
        let effects = self.call(|scheduler, now| scheduler.ready(now, &id(model)));
        let (when, state) = (self.when(), &mut self.models[model]);
        (state.phase, state.loaded, state.used, state.served) = (Phase::Loaded, when, when, false);
        state.asked = state.wanted.take().is_some();
        self.apply(effects);
    }

    /// The worker has ended, as it was told or not.
    fn gone(&mut self, model: usize) {
        let effects = self.call(|scheduler, now| scheduler.gone(now, &id(model)));
        self.end_worker(model);
        self.apply(effects);
    }

    /// A worker that starts or stops gets there.
    fn advance(&mut self, model: usize) {
        match self.models[model].phase {
            Phase::Loading => self.ready(model),
            _ => self.gone(model),
        }
    }

    fn end_worker(&mut self, model: usize) {
        let (when, state) = (self.when(), &mut self.models[model]);
        state.left = when;
        state.wanted.take_if(|_| state.phase != Phase::Stopping);
        state.phase = Phase::Unloaded;
        let running = self.runs.iter_mut().filter(|run| run.model == model && run.stage == Stage::Running);
        running.for_each(|run| run.stage = Stage::Ended);
    }

    fn fail_to_load(&mut self, model: usize) {
        let effects = self.call(|scheduler, now| scheduler.unloadable(now, &id(model)));
        let queue: BTreeSet<_> = self.queue(model).iter().map(|run| run.id).collect();
        let told = effects.iter().filter_map(|e| if let Unservable(run) = e { Some(*run) } else { None });
        assert_eq!(told.collect::<BTreeSet<_>>(), queue, "the queue was not given up");
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
            self.models[model].wanted.get_or_insert(when);
        }
        self.apply(effects);
    }

    fn unload(&mut self, model: usize) {
        let answer = self.call(|scheduler, now| scheduler.unload(now, &id(model)));
        let in_use = !self.queue(model).is_empty() || !self.runs(model, Stage::Running).is_empty();
        assert_eq!(answer == Err(Refusal::InUse), in_use);
        let Ok(mut effects) = answer else { return };
        self.models[model].wanted = None;
        if matches!(self.models[model].phase, Phase::Loading | Phase::Loaded) {
            assert_eq!(effects.remove(0), Stop(id(model), Asked));
            self.models[model].phase = Phase::Stopping;
        }
        self.apply(effects);
    }

    fn pin(&mut self, model: usize, pinned: bool) {
        let name = id(model);
        let effects = match pinned {
            true => self.call(|scheduler, now| scheduler.pin(now, &name)),
            false => self.call(|scheduler, now| scheduler.unpin(now, &name)),
        };
        self.models[model].pinned = pinned;
        self.apply(effects);
    }

    fn need(&mut self, model: usize, need: u64) {
        let effects = self.call(|scheduler, now| scheduler.set_need(now, &id(model), need));
        self.models[model].need = need;
        self.apply(effects);
    }

    /// Time passes; whenever the scheduler wants to know, it is told, and then it has something to do.
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
        assert_eq!(self.call(Scheduler::tick), [], "a deadline that was not told");
    }

    // What it checks

    fn apply(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            self.forget_hopeless_wishes();
            match effect {
                Start(model) => self.check_start(index(&model)),
                Stop(model, reason) => self.check_stop(index(&model), reason),
                Dispatch(run) => self.check_dispatch(run),
                Dropped(run) | Unservable(run) => self.leave_queue(run),
                Refused(run, _) => {
                    let model = self.run(run).model;
                    assert!(!self.has_room(model, &self.pinned()), "given up too early");
                    self.leave_queue(run);
                }
                Position(run, place) => {
                    let run = self.run(run);
                    assert_eq!(run.stage, Stage::Waiting);
                    assert_ne!(run.told.replace(place), Some(place), "told twice");
                }
                Abort(run) => assert_eq!(self.run(run).stage, Stage::Running),
            }
        }
        self.forget_hopeless_wishes();
        self.check();
    }

    /// It happens without a word.
    fn forget_hopeless_wishes(&mut self) {
        let pinned = self.pinned();
        for model in self.in_phase(&[Phase::Unloaded]) {
            if !self.has_room(model, &pinned) {
                self.models[model].wanted = None;
            }
        }
    }

    fn leave_queue(&mut self, run: RunId) {
        assert_eq!(self.run(run).stage, Stage::Waiting, "ended twice");
        self.run(run).stage = Stage::Ended;
    }

    fn check_start(&mut self, model: usize) {
        assert!(self.in_phase(&[Phase::Loading]).is_empty(), "two loads at once");
        assert_eq!(self.next().map(|(next, _)| next), Some(model), "loaded out of order");
        let there = self.in_phase(&[Phase::Loading, Phase::Loaded, Phase::Stopping]);
        assert!(self.has_room(model, &there), "more in memory than there is");
        self.models[model].phase = Phase::Loading;
        self.last_load = self.when();
    }

    fn check_stop(&mut self, model: usize, reason: StopReason) {
        assert!(self.is_idle(model), "stopped while pinned or in use");
        let (queued, state) = (self.queue(model).len(), &self.models[model]);
        match reason {
            Asked => unreachable!("nobody asked"),
            Idle => {
                assert!(queued == 0 && state.used.0 + self.limits.idle_timeout.unwrap() <= self.now);
            }
            Evicted => {
                let changing = self.in_phase(&[Phase::Stopping, Phase::Loading]);
                assert!(changing.is_empty(), "two changes at once");
                let (next, _) = self.next().expect("evicted for nobody");
                assert!(!self.has_room(next, &self.in_phase(&[Phase::Loaded])), "evicted for nothing");
                assert!(self.can_make_room(next), "evicted before enough can go");
                assert!(queued == 0 || self.is_held(model), "its turn was not over");
                assert!(!self.is_kept(model), "evicted as soon as it came");
                let certain = |other: &usize| {
                    self.is_idle(*other) && self.queue(*other).is_empty() && !self.is_kept(*other)
                };
                let mut others = (0..MODELS).filter(certain);
                assert!(queued == 0 || others.next().is_none(), "evicted before one without runs");
                let used = state.used;
                assert!(queued > 0 || others.all(|other| used <= self.models[other].used), "not the oldest");
            }
        }
        self.models[model].phase = Phase::Stopping;
    }

    fn check_dispatch(&mut self, id: RunId) {
        let (model, stage, came) = (self.run(id).model, self.run(id).stage, self.run(id).came);
        assert_eq!(stage, Stage::Waiting, "run twice or lost");
        assert_eq!(self.models[model].phase, Phase::Loaded, "sent to no worker");
        let queue = self.queue(model);
        assert_eq!(queue[0].id, id, "overtaken");
        assert!(queue[0].slots <= self.free_slots(model), "too many runs in a worker");
        assert!(!self.is_held(model), "went on after its turn");
        self.models[model].served = true;
        self.longest_wait = self.longest_wait.max(self.now - came.0);
        self.run(id).stage = Stage::Running;
    }

    fn check(&mut self) {
        let Limits { queue_depth, queue_total, .. } = self.limits;
        assert!(self.all(Stage::Waiting).len() <= queue_total, "too many wait");
        assert_eq!(self.scheduler.queued(), self.all(Stage::Waiting).len());
        for model in 0..MODELS {
            let queue = self.queue(model);
            let running = self.runs(model, Stage::Running);
            assert!(queue.len() <= queue_depth, "too many wait for one model");
            assert_eq!(self.scheduler.load_of(&id(model)), (running.len(), queue.len()));
            assert!(running.iter().all(|run| self.scheduler.is_active(run.id)));
            let told = queue.iter().map(|run| run.told);
            assert!(told.eq((1..).map(Some).take(queue.len())), "places that aren't so");
            if let (Phase::Loaded, Some(first)) = (self.models[model].phase, queue.first()) {
                let waits_for_slots = first.slots > self.free_slots(model);
                assert!(waits_for_slots || self.is_held(model), "a free slot and nothing in it");
            }
        }
        for (model, _) in self.waiting() {
            assert!(self.has_room(model, &self.pinned()), "it waits though it can never be loaded");
        }
        let changing = self.in_phase(&[Phase::Loading, Phase::Stopping]);
        if let (Some((next, _)), true) = (self.next(), changing.is_empty()) {
            assert!(!self.can_make_room(next), "it waits for memory that nobody uses");
        }
        assert_eq!(self.call(Scheduler::tick), [], "something was left to do");
    }

    fn take(&mut self, step: &Step) {
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
                    self.gone(model);
                }
            }
            Step::FailToLoad => {
                if let Some(model) = nth(&self.in_phase(&[Phase::Loading]), 0) {
                    self.fail_to_load(model);
                }
            }
            Step::Load(model) => self.load(model),
            Step::Unload(model) => self.unload(model),
            Step::Pin(model) => self.pin(model, true),
            Step::Unpin(model) => self.pin(model, false),
            Step::Need(model, need) => self.need(model, need),
            Step::Wait(time) => self.wait(time),
        }
    }
}

proptest! {
    #[test]
    fn whatever_happens_no_run_is_lost_or_run_twice_and_bounds_and_order_hold(
        limits in limits(), steps in steps(),
    ) {
        let mut world = World::new(limits);
        for step in steps {
            world.take(&step);
        }
        // Left alone, every run that is still open gets its turn.
        for _ in 0..1000 {
            if let Some(run) = world.all(Stage::Running).first() {
                world.finish(*run);
            } else if !world.in_phase(&[Phase::Loading, Phase::Stopping]).is_empty() {
                world.take(&Step::Advance(0));
            } else if let Some(deadline) = world.scheduler.next_deadline() {
                world.wait(deadline - world.now);
            }
        }
        prop_assert_eq!(world.all(Stage::Waiting), [], "starved");
        prop_assert_eq!(world.waiting(), [], "a wish was forgotten");
    }
}

/// Somebody comes a while after the last: with a run, or with a wish for a model.
#[derive(Debug, Clone)]
struct Arrival {
    gap: u64,
    model: usize,
    /// How long the run takes; `None` for a wish.
    takes: Option<u64>,
    priority: Priority,
    slots: usize,
}

fn arrivals() -> impl Strategy<Value = Vec<Arrival>> {
    let takes = prop_oneof![1 => Just(None), 30 => (1u64..5000).prop_map(Some)];
    // Some models and priorities come much more often than others.
    let model = prop_oneof![6 => 0usize..2, 1 => 0..MODELS];
    let priority = prop_oneof![8 => Just(High), 2 => Just(Normal), 1 => Just(Low)];
    let arrival = (0u64..1500, model, takes, priority, 1usize..4)
        .prop_map(|(gap, model, takes, priority, slots)| Arrival { gap, model, takes, priority, slots });
    vec(arrival, 1..400)
}

proptest! {
    /// The bound: nobody who comes two ageing times later goes before a run. Of those before it in its own
    /// queue at least one goes each time that the model is loaded. For that it waits two ageing times, and
    /// then for those that were before it: each takes a cycle of a turn, a run, the stops and a load.
    #[test]
    fn nobody_starves_however_others_come(
        limits in limits(), arrivals in arrivals(), needs in [0u64..4, 0..4, 0..4, 0..4],
        load in 0u64..5000, stop in 0u64..1000,
    ) {
        let millis = Duration::from_millis;
        let (load, stop) = (millis(load), millis(stop));
        let wishes = arrivals.iter().filter(|arrival| arrival.takes.is_none()).count();
        let cycle = limits.turn + millis(5000) + stop * 4 + load;
        let visit = limits.ageing * 2 + cycle * u32::try_from(MODELS + wishes).unwrap();
        let bound = limits.ageing * 2 + visit * u32::try_from(limits.queue_depth + 1).unwrap();

        let mut world = World::new(limits);
        for (model, need) in needs.into_iter().enumerate() {
            world.need(model, need);
        }
        let mut takes = HashMap::new();
        let mut arrivals = arrivals.into_iter().peekable();
        let mut last_came = at(0);
        // What is going on in runs and in models, and when it ends.
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
            let arrival = arrivals.peek().map(|arrival| last_came + millis(arrival.gap));
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
                last_came = next;
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
