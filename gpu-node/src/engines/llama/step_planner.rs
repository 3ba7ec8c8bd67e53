//! Decides what the next step computes: pieces of prompts (prefill), or one token for each slot that decodes.
//!
//! llama.cpp splits a batch into parts: each part has the same number of tokens from sequences with neighbouring
//! numbers. A batch that mixes prompts with single tokens, or prompts of different lengths, becomes many parts of few
//! rows. Those are expensive on a CPU, whose kernels compute rows in groups of 16, then of 4, then one by one: a group
//! of 16 costs no more than 12 rows in groups of 4. So a step computes one prompt, or several prompts with the same
//! number of tokens left, or one token for each decoding slot.
//!
//! Prefill has a time slice between two decode steps, and a prefill step a maximum of tokens. The first prefill step
//! after a decode step cuts a prompt to the number of tokens that fit; the next ones compute prompts that fit whole. When
//! none fits, a decode step computes a token for each decoding slot, and the next slice begins. So a long prompt
//! advances by one step between two decode steps, until its rest fits. Without decoding slots every step may cut a prompt.

use std::{collections::BTreeMap, time::Duration};

use super::load::BATCH_MAX_TOKENS;

/// Time that prefill may take between two decode steps.
const PREFILL_TIME_SLICE: Duration = Duration::from_millis(500);
/// Maximum number of prompt tokens of one step within that slice.
const PREFILL_STEP_MAX_TOKENS: usize = 128;
/// Time that prefill may take between two decode steps during a burst of prompts, when it matters more that all of
/// them progress. A step then computes up to a whole batch.
const BURST_TIME_SLICE: Duration = Duration::from_secs(1);
/// Two or more prompts are a burst if at least one in this many busy slots has one. Prompts that outnumber the
/// decoding slots always are.
const BURST_SLOTS_PER_PROMPT: usize = 9;
/// Prompt tokens of the first prefill step after a decode step, however slow the model is.
const PREFILL_MIN_TOKENS: usize = 16;
/// Prompt tokens of a step before the prefill rate has been measured.
const UNMEASURED_PREFILL_TOKENS: usize = 64;
/// Rows that a CPU kernel computes as one group.
const ROW_GROUP: usize = 16;

/// Work that a slot has for the next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SlotDemand {
    /// The slot's sequence in the context.
    pub(super) sequence: usize,
    pub(super) work: SlotWork,
}

/// Kind and amount of a slot's work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SlotWork {
    /// The slot decodes: one token.
    Decode,
    /// This many tokens of its prompt are left, at least one.
    Prefill(usize),
    /// Nothing until another slot or a grammar has computed something.
    Idle,
}

/// A slot's part of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Share {
    /// Index of the slot in the list that was planned; not its sequence.
    pub(super) slot: usize,
    /// Number of its tokens that the step computes.
    pub(super) tokens: usize,
}

/// A prompt that isn't computed yet.
#[derive(Debug, Clone, Copy)]
struct WaitingPrompt {
    /// Index of its slot in the list to plan.
    slot: usize,
    /// Number of its tokens that are left to compute.
    tokens_left: usize,
}

/// Tokens that the next step computes. Without shares there is nothing to compute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum StepPlan {
    /// Pieces of prompts.
    Prefill(Vec<Share>),
    /// One token for each decoding slot. Single tokens of prompts may complete a row group.
    Decode(Vec<Share>),
}

impl StepPlan {
    pub(super) fn shares(&self) -> &[Share] {
        let (Self::Prefill(shares) | Self::Decode(shares)) = self;
        shares
    }

    pub(super) fn tokens(&self) -> usize {
        self.shares().iter().map(|share| share.tokens).sum()
    }

    /// Returns whether a plan with fewer tokens is possible.
    pub(super) fn can_shrink(&self) -> bool {
        matches!(self, Self::Prefill(_)) && self.tokens() > 1
    }
}

/// Plans steps from the measured prefill rate and the time that decoding slots have waited.
#[derive(Debug, Default)]
pub(super) struct StepPlanner {
    /// Prompt tokens per second, a moving average; `None` before the first measurement.
    prefill_rate: Option<f64>,
    /// Prefill time since the last decode step, while there were decoding slots.
    decode_wait: Duration,
}

impl StepPlanner {
    /// Plans the next step for `slots`, oldest first, with at most `max_tokens` prompt tokens.
    pub(super) fn plan(&self, slots: &[SlotDemand], max_tokens: usize) -> StepPlan {
        let decoding: Vec<_> = decoding_slots(slots).collect();
        let prompts: Vec<_> = slots.iter().enumerate().filter_map(waiting_prompt).collect();
        let (room, may_cut) = self.prefill_room(prompts.len(), decoding.len(), max_tokens);
        let shares = choose_prompts(&prompts, room, may_cut);
        match shares.is_empty() {
            false => StepPlan::Prefill(shares),
            true => StepPlan::Decode(fill_row_groups(decoding, slots, max_tokens)),
        }
    }

    /// Records that a step took `elapsed`. `has_decoding`: there are slots that decode.
    pub(super) fn record(&mut self, plan: &StepPlan, elapsed: Duration, has_decoding: bool) {
        let StepPlan::Prefill(_) = plan else {
            self.decode_wait = Duration::ZERO;
            return;
        };
        self.decode_wait = if has_decoding { self.decode_wait + elapsed } else { Duration::ZERO };
        // A few tokens take as long as one, so they say nothing about the rate.
        let tokens = plan.tokens();
        if tokens >= PREFILL_MIN_TOKENS {
            let rate = tokens as f64 / elapsed.as_secs_f64().max(1e-6);
            self.prefill_rate = Some(self.prefill_rate.map_or(rate, |before| before.midpoint(rate)));
        }
    }

    /// Number of prompt tokens that fit into the rest of the time slice, and whether a prompt may be cut to that
    /// number: beside decoding slots only the first prefill step after a decode step may cut one, without them every
    /// step may.
    fn prefill_room(&self, prompts: usize, decoding: usize, max_tokens: usize) -> (usize, bool) {
        let (slice, step_max_tokens) = match is_burst(prompts, decoding) {
            true => (BURST_TIME_SLICE, BATCH_MAX_TOKENS as usize),
            false => (PREFILL_TIME_SLICE, PREFILL_STEP_MAX_TOKENS),
        };
        // Without a decoding slot nothing waits, whatever was recorded before.
        let waited = if decoding == 0 { Duration::ZERO } else { self.decode_wait };
        let first = waited.is_zero();
        let left = slice.saturating_sub(waited).as_secs_f64();
        let unmeasured = if first { UNMEASURED_PREFILL_TOKENS } else { 0 };
        let room = self.prefill_rate.map_or(unmeasured, |rate| (rate * left) as usize);
        let min_tokens = if first { PREFILL_MIN_TOKENS } else { 0 };
        (room.clamp(min_tokens, step_max_tokens).min(max_tokens), first)
    }
}

fn is_burst(prompts: usize, decoding: usize) -> bool {
    prompts > decoding || prompts > 1 && prompts * BURST_SLOTS_PER_PROMPT >= prompts + decoding
}

/// Chooses the oldest prompt, or the oldest that fits into `room` if none may be cut, and adds the prompts that have as
/// many tokens left. A prompt that is cut gets whole row groups.
fn choose_prompts(prompts: &[WaitingPrompt], room: usize, may_cut: bool) -> Vec<Share> {
    let fits = |prompt: &&WaitingPrompt| prompt.tokens_left <= room;
    let next = if may_cut { prompts.first() } else { prompts.iter().find(fits) };
    let Some(&WaitingPrompt { slot, tokens_left }) = next else { return Vec::new() };
    if tokens_left > room {
        let groups = room / ROW_GROUP * ROW_GROUP;
        return vec![Share { slot, tokens: if groups > 0 { groups } else { room } }];
    }
    let equal = prompts.iter().filter(|prompt| prompt.tokens_left == tokens_left).take(room / tokens_left);
    equal.map(|prompt| Share { slot: prompt.slot, tokens: tokens_left }).collect()
}

/// One token for each decoding slot, and for as many prompts as complete the row groups. Without enough prompts in
/// neighbouring sequences, or with more than `max_tokens` of them, no prompt is added.
fn fill_row_groups(decoding: Vec<usize>, slots: &[SlotDemand], max_tokens: usize) -> Vec<Share> {
    let complete = complete_row_groups(&decoding, slots);
    let complete = complete.filter(|all| all.len() - decoding.len() <= max_tokens);
    complete.unwrap_or(decoding).into_iter().map(|slot| Share { slot, tokens: 1 }).collect()
}

/// The slots from the first to the last sequence of `decoding`, extended on both sides to whole row groups; `None` if a
/// sequence between them has no work, or there are too few.
fn complete_row_groups(decoding: &[usize], slots: &[SlotDemand]) -> Option<Vec<usize>> {
    let by_sequence: BTreeMap<usize, usize> = slots
        .iter()
        .enumerate()
        .filter(|(_, demand)| demand.work != SlotWork::Idle)
        .map(|(slot, demand)| (demand.sequence, slot))
        .collect();
    let mut first = decoding.iter().map(|slot| slots[*slot].sequence).min()?;
    let mut last = decoding.iter().map(|slot| slots[*slot].sequence).max()?;
    while !(last - first + 1).is_multiple_of(ROW_GROUP) {
        if by_sequence.contains_key(&(last + 1)) {
            last += 1;
        } else {
            first = first.checked_sub(1)?;
        }
    }
    (first..=last).map(|sequence| by_sequence.get(&sequence).copied()).collect()
}

fn decoding_slots(slots: &[SlotDemand]) -> impl Iterator<Item = usize> {
    let decodes = |(_, demand): &(usize, &SlotDemand)| demand.work == SlotWork::Decode;
    slots.iter().enumerate().filter(decodes).map(|(slot, _)| slot)
}

fn waiting_prompt((slot, demand): (usize, &SlotDemand)) -> Option<WaitingPrompt> {
    match demand.work {
        SlotWork::Prefill(tokens_left) => Some(WaitingPrompt { slot, tokens_left }),
        SlotWork::Decode | SlotWork::Idle => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DECODE: SlotWork = SlotWork::Decode;

    fn prompts(lengths: &[usize]) -> Vec<SlotWork> {
        lengths.iter().copied().map(SlotWork::Prefill).collect()
    }

    /// Slots in neighbouring sequences.
    fn demands(works: &[SlotWork]) -> Vec<SlotDemand> {
        works.iter().enumerate().map(|(sequence, work)| SlotDemand { sequence, work: *work }).collect()
    }

    fn planner(prefill_rate: Option<f64>, wait_ms: u64) -> StepPlanner {
        StepPlanner { prefill_rate, decode_wait: Duration::from_millis(wait_ms) }
    }

    fn shares(plan: &StepPlan, slots: usize) -> Vec<usize> {
        let mut shares = vec![0; slots];
        plan.shares().iter().for_each(|share| shares[share.slot] += share.tokens);
        shares
    }

    /// One share, of the first slot.
    fn share(tokens: usize) -> Vec<Share> {
        vec![Share { slot: 0, tokens }]
    }

    #[test]
    fn prefill_steps_stay_within_the_time_slice() {
        // Prefill rate; milliseconds that decoding slots have waited; number of decoding slots; the prompts' lengths;
        // the prompts' shares, none if the step is a decode step.
        type Case<'a> = (Option<f64>, u64, usize, &'a [usize], &'a [usize]);
        let cases: [Case<'_>; 20] = [
            // A single prompt without decoding slots gets a second per step, in whole row groups.
            (Some(160.0), 0, 0, &[300], &[160]),
            (Some(170.0), 0, 0, &[300], &[160]),
            (Some(1e5), 0, 0, &[5000], &[512]),
            (Some(1.0), 0, 0, &[300], &[16]),
            (None, 0, 0, &[300], &[64]),
            (Some(160.0), 990, 0, &[300], &[160]),
            // With a decoding slot it gets half of that.
            (Some(160.0), 0, 1, &[300], &[80]),
            (Some(1e5), 0, 1, &[5000], &[128]),
            // The prompt doesn't fit into the 50 ms that are left of the time slice.
            (Some(160.0), 450, 1, &[300], &[]),
            // A burst has a second. The oldest prompt that fits comes first, and is cut only in the first step.
            (Some(160.0), 0, 4, &[40, 50, 60, 20], &[40, 0, 0, 0]),
            (Some(160.0), 600, 4, &[300, 50, 60, 20], &[0, 50, 0, 0]),
            (Some(160.0), 800, 4, &[300, 50, 60, 20], &[0, 0, 0, 20]),
            (Some(160.0), 900, 4, &[300, 50, 60, 20], &[]),
            (Some(160.0), 0, 4, &[300, 200], &[160, 0]),
            // Prompts of the same length share a step.
            (Some(160.0), 0, 4, &[40, 30, 40, 40, 40, 40], &[40, 0, 40, 40, 40, 0]),
            (Some(160.0), 0, 4, &[300, 50, 60, 20], &[160, 0, 0, 0]),
            // Two prompts are a burst beside 16 decoding slots, not beside 17.
            (Some(160.0), 0, 16, &[100, 100], &[100, 0]),
            (Some(160.0), 0, 17, &[100, 100], &[80, 0]),
            (Some(160.0), 1000, 4, &[40; 4], &[]),
            (None, 100, 1, &[300], &[]),
        ];
        for (rate, wait_ms, decoding, lengths, expected) in cases {
            let slots = demands(&[vec![DECODE; decoding], prompts(lengths)].concat());
            let plan = planner(rate, wait_ms).plan(&slots, BATCH_MAX_TOKENS as usize);
            let all = shares(&plan, slots.len());
            let case = format!("{lengths:?} beside {decoding} at {rate:?} after {wait_ms} ms");
            match plan {
                StepPlan::Prefill(_) => assert_eq!(all[decoding..], *expected, "{case}"),
                StepPlan::Decode(_) => {
                    assert_eq!((expected, &all[..decoding]), (&[][..], &vec![1; decoding][..]), "{case}")
                }
            }
        }
    }

    #[test]
    fn decode_step_fills_row_groups_with_prompt_tokens() {
        // Decoding slots, waiting prompts, and the number of prompts that get a token.
        let cases = [
            ((4, 12), 12),
            ((4, 11), 0),
            ((1, 20), 15),
            ((12, 4), 4),
            ((15, 9), 1),
            ((16, 9), 0),
            ((17, 15), 15),
            ((20, 11), 0),
            ((5, 0), 0),
        ];
        for ((decoding, waiting), expected) in cases {
            let slots = demands(&[vec![DECODE; decoding], prompts(&vec![50; waiting])].concat());
            let plan = planner(Some(160.0), 1000).plan(&slots, BATCH_MAX_TOKENS as usize);
            let all = shares(&plan, slots.len());
            assert_eq!(all[..decoding], vec![1; decoding]);
            assert_eq!(all[decoding..].iter().sum::<usize>(), expected, "{waiting} beside {decoding}");
        }
    }

    #[test]
    fn row_groups_need_neighbouring_sequences() {
        let tokens =
            |slots: &[SlotDemand]| planner(Some(160.0), 1000).plan(slots, BATCH_MAX_TOKENS as usize).tokens();
        let mut slots = demands(&[vec![DECODE; 12], prompts(&[50; 6])].concat());
        // Sequences between and before the decoding ones count like those behind.
        slots.swap(2, 14);
        assert_eq!(tokens(&slots), 16);
        slots.iter_mut().for_each(|demand| demand.sequence = 17 - demand.sequence);
        assert_eq!(tokens(&slots), 16);
        // Behind a gap llama.cpp computes them apart.
        slots[0].sequence = 40;
        assert_eq!(tokens(&slots), 12);
        slots[0].sequence = 17;
        slots[3].work = SlotWork::Idle;
        assert_eq!(tokens(&slots), 11);
    }

    #[test]
    fn idle_slots_get_no_tokens() {
        let slots = demands(&[SlotWork::Idle, DECODE, SlotWork::Idle]);
        assert_eq!(planner(None, 0).plan(&slots, 512), StepPlan::Decode(vec![Share { slot: 1, tokens: 1 }]));
        assert_eq!(planner(None, 0).plan(&[], 512), StepPlan::Decode(Vec::new()));
    }

    #[test]
    fn prefill_rate_is_measured_on_prefill_steps_only() {
        let mut planner = StepPlanner::default();
        let second = Duration::from_secs(1);
        planner.record(&StepPlan::Prefill(share(100)), second, false);
        assert_eq!((planner.prefill_rate, planner.decode_wait), (Some(100.0), Duration::ZERO));
        planner.record(&StepPlan::Prefill(share(15)), second / 2, true);
        planner.record(&StepPlan::Prefill(share(200)), second, true);
        assert_eq!((planner.prefill_rate, planner.decode_wait), (Some(150.0), second * 3 / 2));
        planner.record(&StepPlan::Decode(share(1)), second, true);
        assert_eq!((planner.prefill_rate, planner.decode_wait), (Some(150.0), Duration::ZERO));
    }

    proptest! {
        #[test]
        fn every_slot_progresses_within_the_time_slice(
            lengths in proptest::collection::vec(1usize..700, 0..40),
            decoding in 0usize..60,
            rate in proptest::option::of(1.0..1e6),
            max_tokens in 1usize..512,
        ) {
            let mut slots = demands(&[vec![DECODE; decoding], prompts(&lengths)].concat());
            let mut planner = planner(rate, 0);
            let slowest_step = Duration::from_secs_f64(PREFILL_MIN_TOKENS as f64 / rate.unwrap_or(100.0));
            let longest = slowest_step.max(BURST_TIME_SLICE);
            let mut waited = Duration::ZERO;
            while slots.iter().any(|demand| demand.work != DECODE) {
                let plan = planner.plan(&slots, max_tokens);
                prop_assert!(plan.tokens() > 0);
                prop_assert!(plan.tokens() <= BATCH_MAX_TOKENS as usize);
                let oldest = slots.iter().position(|demand| demand.work != DECODE);
                let elapsed = Duration::from_secs_f64(plan.tokens() as f64 / rate.unwrap_or(100.0));
                match &plan {
                    StepPlan::Prefill(shares) => {
                        prop_assert!(plan.tokens() <= max_tokens);
                        waited += elapsed;
                        // The oldest prompt progresses, or another one is computed whole.
                        let progresses = |share: &Share| {
                            Some(share.slot) == oldest
                                || slots[share.slot].work == SlotWork::Prefill(share.tokens)
                        };
                        prop_assert!(shares.iter().all(progresses));
                    }
                    StepPlan::Decode(shares) => {
                        prop_assert!(shares.len() >= decoding && shares.iter().all(|share| share.tokens == 1));
                        waited = Duration::ZERO;
                    }
                }
                if decoding > 0 {
                    prop_assert!(waited <= longest + longest / 4, "{waited:?} of {longest:?}");
                }
                planner.record(&plan, elapsed, decoding > 0);
                for &Share { slot, tokens } in plan.shares() {
                    if let SlotWork::Prefill(need) = slots[slot].work {
                        prop_assert!(tokens <= need);
                        slots[slot].work = if need == tokens { DECODE } else { SlotWork::Prefill(need - tokens) };
                    }
                }
            }
        }
    }
}
