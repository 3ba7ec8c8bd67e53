//! Whose turn a step is: that of prompts, or of everybody who decodes.
//!
//! llama.cpp computes a batch in parts: each has the same number of tokens of neighbouring sequences. A batch of
//! prompts and single tokens, or of prompts of several lengths, falls apart into parts of few rows, which are dear on a
//! processor: its kernels take rows in groups of 16, then of 4, then one by one, and a group of 16 costs no more
//! than 12 in groups of 4. So a step computes one prompt, or several that need the same number of tokens, or a
//! token for each slot that decodes. Prompts have the word for a while, then those who decode get a token each.

use std::{collections::BTreeMap, time::Duration};

use super::load::BATCH;

/// How long those who decode wait for a prompt that came alone, or beside so many of them that it is as good as
/// alone.
const BESIDE: Duration = Duration::from_millis(500);
/// How many of its tokens one step computes at most.
const MOST_BESIDE: usize = 128;
/// How long they wait where many prompts came together: then it is worth more that all of them get on.
const CROWDED: Duration = Duration::from_secs(1);
/// Two prompts are a crowd, and more of them, as long as one slot in so many has one; one alone only if nobody
/// decodes.
const ONE_IN: usize = 9;
/// Prompt tokens that a step takes at least, however slow the model is.
const LEAST: usize = 16;
/// Prompt tokens of a step before its pace is known.
const FIRST: usize = 64;
/// Rows of a group that a processor computes at once.
const GROUP: usize = 16;

/// What a slot could use, in the order of the slots' age.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Want {
    /// The slot's sequence.
    pub(super) sequence: usize,
    pub(super) what: What,
}

/// See [`Want`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// One token: it decodes.
    Token,
    /// So many tokens of its prompt, at least one.
    Prompt(usize),
    /// Nothing until another slot has computed something.
    Nothing,
}

/// What a step computes: of which slots how many tokens. Empty if there is nothing to compute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Turn {
    /// Of prompts.
    Prompts(Vec<(usize, usize)>),
    /// A token of each slot that decodes. A group that isn't full is filled up with single tokens of prompts.
    Tokens(Vec<(usize, usize)>),
}

impl Turn {
    pub(super) fn shares(&self) -> &[(usize, usize)] {
        let (Self::Prompts(shares) | Self::Tokens(shares)) = self;
        shares
    }

    pub(super) fn tokens(&self) -> usize {
        self.shares().iter().map(|(_, tokens)| tokens).sum()
    }

    /// Whether it can be made of fewer tokens.
    pub(super) fn halves(&self) -> bool {
        matches!(self, Self::Prompts(_)) && self.tokens() > 1
    }
}

/// Gives out turns.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// Prompt tokens a second, lately.
    pace: Option<f64>,
    /// How long those who decode have waited for prompts.
    waited: Duration,
}

impl Turns {
    /// The next turn, with at most so many tokens of prompts.
    pub(super) fn next(&self, slots: &[Want], most: usize) -> Turn {
        let tokens: Vec<_> = places(slots, |want| want.what == What::Token).collect();
        let prompts: Vec<_> = slots.iter().enumerate().filter_map(prompt).collect();
        let (room, cut) = self.room(prompts.len(), tokens.len(), most);
        let taken = take(&prompts, room, cut);
        match taken.is_empty() {
            false => Turn::Prompts(taken),
            true => Turn::Tokens(filled(tokens, slots, most)),
        }
    }

    /// Notes how long a turn took, and whether somebody waited for it who decodes.
    pub(super) fn took(&mut self, turn: &Turn, took: Duration, decoding: bool) {
        let Turn::Prompts(_) = turn else {
            self.waited = Duration::ZERO;
            return;
        };
        self.waited = if decoding { self.waited + took } else { Duration::ZERO };
        // A few tokens take as long as one: they don't tell.
        let tokens = turn.tokens();
        if tokens >= LEAST {
            let pace = tokens as f64 / took.as_secs_f64().max(1e-6);
            self.pace = Some(self.pace.map_or(pace, |before| before.midpoint(pace)));
        }
    }

    /// How many tokens of prompts may come now, and whether a prompt may be cut to that.
    fn room(&self, prompts: usize, decoding: usize, most: usize) -> (usize, bool) {
        let crowded = prompts > decoding || prompts > 1 && prompts * ONE_IN >= prompts + decoding;
        let (within, at_once) = if crowded { (CROWDED, BATCH as usize) } else { (BESIDE, MOST_BESIDE) };
        // Where nobody decodes, those who waited are gone.
        let waited = if decoding == 0 { Duration::ZERO } else { self.waited };
        let first = waited.is_zero();
        let left = within.saturating_sub(waited).as_secs_f64();
        let room = self.pace.map_or(if first { FIRST } else { 0 }, |pace| (pace * left) as usize);
        let least = if first { LEAST } else { 0 };
        (room.clamp(least, at_once).min(most), first)
    }
}

/// The oldest prompt, cut to whole groups if it doesn't fit and may be `cut`; else the oldest that fits. With those
/// that need as much.
fn take(prompts: &[(usize, usize)], room: usize, cut: bool) -> Vec<(usize, usize)> {
    let next = if cut { prompts.first() } else { prompts.iter().find(|(_, need)| *need <= room) };
    let Some((slot, need)) = next else { return Vec::new() };
    if *need > room {
        let groups = room / GROUP * GROUP;
        return vec![(*slot, if groups > 0 { groups } else { room })];
    }
    prompts.iter().filter(|(_, other)| other == need).take(room / need).copied().collect()
}

/// With the single tokens of prompts that make whole groups of them, if there are enough of those, and all are
/// neighbours then.
fn filled(tokens: Vec<usize>, slots: &[Want], most: usize) -> Vec<(usize, usize)> {
    let all = groups(&tokens, slots).filter(|all| all.len() - tokens.len() <= most);
    all.unwrap_or(tokens).into_iter().map(|slot| (slot, 1)).collect()
}

/// The slots between the first and the last of `tokens`' sequences, and so many beside them as make whole groups.
fn groups(tokens: &[usize], slots: &[Want]) -> Option<Vec<usize>> {
    let sequences: BTreeMap<usize, usize> = slots
        .iter()
        .enumerate()
        .filter(|(_, want)| want.what != What::Nothing)
        .map(|(slot, want)| (want.sequence, slot))
        .collect();
    let mut first = tokens.iter().map(|slot| slots[*slot].sequence).min()?;
    let mut last = tokens.iter().map(|slot| slots[*slot].sequence).max()?;
    while !(last - first + 1).is_multiple_of(GROUP) {
        if sequences.contains_key(&(last + 1)) {
            last += 1;
        } else {
            first = first.checked_sub(1)?;
        }
    }
    (first..=last).map(|sequence| sequences.get(&sequence).copied()).collect()
}

fn places(slots: &[Want], which: impl Fn(&Want) -> bool) -> impl Iterator<Item = usize> {
    slots.iter().enumerate().filter(move |(_, want)| which(want)).map(|(slot, _)| slot)
}

fn prompt((slot, want): (usize, &Want)) -> Option<(usize, usize)> {
    match want.what {
        What::Prompt(tokens) => Some((slot, tokens)),
        What::Token | What::Nothing => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const D: What = What::Token;

    fn prompts(needs: &[usize]) -> Vec<What> {
        needs.iter().copied().map(What::Prompt).collect()
    }

    /// In neighbouring sequences.
    fn wants(whats: &[What]) -> Vec<Want> {
        whats.iter().enumerate().map(|(sequence, what)| Want { sequence, what: *what }).collect()
    }

    fn turns(pace: Option<f64>, waited: u64) -> Turns {
        Turns { pace, waited: Duration::from_millis(waited) }
    }

    fn shares(turn: &Turn, slots: usize) -> Vec<usize> {
        let mut shares = vec![0; slots];
        turn.shares().iter().for_each(|(slot, tokens)| shares[*slot] += tokens);
        shares
    }

    #[test]
    fn prompts_have_the_word_for_a_while() {
        // Pace; milliseconds that others have waited; who decodes, and the prompts; what the prompts get, nothing if
        // it is the turn of those who decode.
        type Case<'a> = (Option<f64>, u64, usize, &'a [usize], &'a [usize]);
        let cases: [Case<'_>; 20] = [
            // Alone a prompt gets a second at a time, in whole groups.
            (Some(160.0), 0, 0, &[300], &[160]),
            (Some(170.0), 0, 0, &[300], &[160]),
            (Some(1e5), 0, 0, &[5000], &[512]),
            (Some(1.0), 0, 0, &[300], &[16]),
            (None, 0, 0, &[300], &[64]),
            (Some(160.0), 990, 0, &[300], &[160]),
            // Beside one who decodes half of that.
            (Some(160.0), 0, 1, &[300], &[80]),
            (Some(1e5), 0, 1, &[5000], &[128]),
            // It has had its time.
            (Some(160.0), 450, 1, &[300], &[]),
            // A crowd has a second; the oldest that fits comes first, and is not cut where that isn't needed.
            (Some(160.0), 0, 4, &[40, 50, 60, 20], &[40, 0, 0, 0]),
            (Some(160.0), 600, 4, &[300, 50, 60, 20], &[0, 50, 0, 0]),
            (Some(160.0), 800, 4, &[300, 50, 60, 20], &[0, 0, 0, 20]),
            (Some(160.0), 900, 4, &[300, 50, 60, 20], &[]),
            (Some(160.0), 0, 4, &[300, 200], &[160, 0]),
            // Those of one length go together.
            (Some(160.0), 0, 4, &[40, 30, 40, 40, 40, 40], &[40, 0, 40, 40, 40, 0]),
            (Some(160.0), 0, 4, &[300, 50, 60, 20], &[160, 0, 0, 0]),
            // Two are no crowd beside seventeen.
            (Some(160.0), 0, 16, &[100, 100], &[100, 0]),
            (Some(160.0), 0, 17, &[100, 100], &[80, 0]),
            (Some(160.0), 1000, 4, &[40; 4], &[]),
            (None, 100, 1, &[300], &[]),
        ];
        for (pace, waited, decoding, needs, expected) in cases {
            let slots = wants(&[vec![D; decoding], prompts(needs)].concat());
            let turn = turns(pace, waited).next(&slots, BATCH as usize);
            let all = shares(&turn, slots.len());
            let case = format!("{needs:?} beside {decoding} at {pace:?} after {waited} ms");
            match turn {
                Turn::Prompts(_) => assert_eq!(all[decoding..], *expected, "{case}"),
                Turn::Tokens(_) => {
                    assert_eq!((expected, &all[..decoding]), (&[][..], &vec![1; decoding][..]), "{case}")
                }
            }
        }
    }

    #[test]
    fn groups_are_filled_up() {
        // Who decodes, how many prompts wait; how many of those give a token.
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
            let slots = wants(&[vec![D; decoding], prompts(&vec![50; waiting])].concat());
            let turn = turns(Some(160.0), 1000).next(&slots, BATCH as usize);
            let all = shares(&turn, slots.len());
            assert_eq!(all[..decoding], vec![1; decoding]);
            assert_eq!(all[decoding..].iter().sum::<usize>(), expected, "{waiting} beside {decoding}");
        }
    }

    #[test]
    fn only_neighbours_make_a_group() {
        let turn = |slots: &[Want]| turns(Some(160.0), 1000).next(slots, BATCH as usize).tokens();
        let mut slots = wants(&[vec![D; 12], prompts(&[50; 6])].concat());
        // Those between and before are as good as those behind.
        slots.swap(2, 14);
        assert_eq!(turn(&slots), 16);
        slots.iter_mut().for_each(|want| want.sequence = 17 - want.sequence);
        assert_eq!(turn(&slots), 16);
        // With a gap they are computed apart anyway.
        slots[0].sequence = 40;
        assert_eq!(turn(&slots), 12);
        slots[0].sequence = 17;
        slots[3].what = What::Nothing;
        assert_eq!(turn(&slots), 11);
    }

    #[test]
    fn whoever_waits_for_another_gets_nothing() {
        let slots = wants(&[What::Nothing, D, What::Nothing]);
        assert_eq!(turns(None, 0).next(&slots, 512), Turn::Tokens(vec![(1, 1)]));
        assert_eq!(turns(None, 0).next(&[], 512), Turn::Tokens(Vec::new()));
    }

    #[test]
    fn the_pace_is_that_of_prompts() {
        let mut turns = Turns::default();
        let second = Duration::from_secs(1);
        turns.took(&Turn::Prompts(vec![(0, 100)]), second, false);
        assert_eq!((turns.pace, turns.waited), (Some(100.0), Duration::ZERO));
        turns.took(&Turn::Prompts(vec![(0, 15)]), second / 2, true);
        turns.took(&Turn::Prompts(vec![(0, 200)]), second, true);
        assert_eq!((turns.pace, turns.waited), (Some(150.0), second * 3 / 2));
        turns.took(&Turn::Tokens(vec![(0, 1)]), second, true);
        assert_eq!((turns.pace, turns.waited), (Some(150.0), Duration::ZERO));
    }

    proptest! {
        #[test]
        fn nobody_waits_for_ever(
            needs in proptest::collection::vec(1usize..700, 0..40),
            decoding in 0usize..60,
            pace in proptest::option::of(1.0..1e6),
            most in 1usize..512,
        ) {
            let mut slots = wants(&[vec![D; decoding], prompts(&needs)].concat());
            let mut turns = turns(pace, 0);
            let longest = Duration::from_secs_f64(LEAST as f64 / pace.unwrap_or(100.0)).max(CROWDED);
            let mut waited = Duration::ZERO;
            while slots.iter().any(|want| want.what != D) {
                let turn = turns.next(&slots, most);
                prop_assert!(turn.tokens() > 0);
                prop_assert!(turn.tokens() <= BATCH as usize);
                let oldest = slots.iter().position(|want| want.what != D);
                let took = Duration::from_secs_f64(turn.tokens() as f64 / pace.unwrap_or(100.0));
                match &turn {
                    Turn::Prompts(shares) => {
                        prop_assert!(turn.tokens() <= most);
                        waited += took;
                        // Whoever is oldest gets on, or somebody as a whole.
                        let gets_on = |(slot, tokens): &(usize, usize)| {
                            Some(*slot) == oldest || slots[*slot].what == What::Prompt(*tokens)
                        };
                        prop_assert!(shares.iter().all(gets_on));
                    }
                    Turn::Tokens(shares) => {
                        prop_assert!(shares.len() >= decoding && shares.iter().all(|(_, tokens)| *tokens == 1));
                        waited = Duration::ZERO;
                    }
                }
                if decoding > 0 {
                    prop_assert!(waited <= longest + longest / 4, "{waited:?} of {longest:?}");
                }
                turns.took(&turn, took, decoding > 0);
                for (slot, tokens) in turn.shares() {
                    if let What::Prompt(need) = slots[*slot].what {
                        prop_assert!(*tokens <= need);
                        slots[*slot].what = if need == *tokens { D } else { What::Prompt(need - tokens) };
                    }
                }
            }
        }
    }
}
