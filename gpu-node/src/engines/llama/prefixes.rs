//! Which tokens' keys and values there are, and where: the prefix cache.
//!
//! Each slot has a sequence of the context, whose tokens stay when its run ends. A new prompt looks for
//! the tokens that begin most like it: a free sequence that loses little by it is taken over; else the
//! tokens are copied into another one, whose own are saved in the machine's memory first. So a
//! conversation's next turn computes only what is new, however many others came between, and runs with
//! the same instructions compute them once.
//!
//! This is bookkeeping alone: what must happen to the context comes back as [`Change`]s.

/// A token, as the context numbers them.
pub(super) type Token = i32;

/// Names tokens that were saved.
pub(super) type SavedId = u64;

/// What must be done to the context, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// Forget a sequence's tokens from this place on.
    Truncate {
        /// The sequence.
        sequence: usize,
        /// How many tokens stay.
        keep: usize,
    },
    /// Give a sequence that is empty all tokens of another.
    Copy {
        /// The sequence that has the tokens.
        from: usize,
        /// The empty one.
        to: usize,
    },
    /// Save a sequence's tokens; then [`Prefixes::saved`] must be told how large they are.
    Save {
        /// The sequence.
        sequence: usize,
        /// The name that they get.
        id: SavedId,
    },
    /// Give a sequence that is empty all tokens that were saved.
    Restore {
        /// The name that they have.
        id: SavedId,
        /// The empty sequence.
        to: usize,
    },
    /// Forget what was saved.
    Drop {
        /// The name that it has.
        id: SavedId,
    },
}

/// A sequence for a run.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Lease {
    pub(super) sequence: usize,
    /// Tokens of its prompt that need not be computed; always fewer than all, since the last one's
    /// logits are needed.
    pub(super) reused: usize,
    pub(super) changes: Vec<Change>,
}

#[derive(Debug, Default)]
struct Sequence {
    tokens: Vec<Token>,
    leased: bool,
    last_used: u64,
}

#[derive(Debug)]
struct Saved {
    id: SavedId,
    tokens: Vec<Token>,
    /// 0 until it is told.
    bytes: u64,
    last_used: u64,
}

/// Where tokens are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Sequence(usize),
    Saved(SavedId),
}

/// The context's sequences, and what is saved.
#[derive(Debug)]
pub(super) struct Prefixes {
    sequences: Vec<Sequence>,
    saved: Vec<Saved>,
    /// What all that is saved may take.
    most_bytes: u64,
    /// What a saved token took when one was last saved; 0 before.
    bytes_per_token: u64,
    /// Whether a sequence can be cut anywhere. A recurrent model's state can't: it serves only prompts
    /// that it is a beginning of as a whole.
    divisible: bool,
    clock: u64,
}

/// Fewer tokens than these are computed again rather than copied or saved.
pub(super) const WORTH_KEEPING: usize = 16;
/// Of a place's tokens all are copied, also those of no use. Copying one costs less than a hundredth of
/// computing it, so this is worth it if one in so many is of use.
const WORTH_COPYING: usize = 16;

impl Prefixes {
    /// The bookkeeping of a context with so many sequences, of which some are saved, in `most_bytes`.
    pub(super) fn new(sequences: usize, most_bytes: u64, divisible: bool) -> Self {
        let sequences = std::iter::repeat_with(Sequence::default).take(sequences).collect();
        Self { sequences, saved: Vec::new(), most_bytes, bytes_per_token: 0, divisible, clock: 0 }
    }

    /// A sequence for a run with this prompt; `None` if every one belongs to a run.
    pub(super) fn lease(&mut self, prompt: &[Token]) -> Option<Lease> {
        self.clock += 1;
        let mut changes = Vec::new();
        let sequence = match self.most_alike(prompt, None) {
            Some((Place::Sequence(source), reused)) if self.is_free_for(source, reused) => {
                self.truncate(source, reused, &mut changes);
                source
            }
            found => self.move_in(prompt, found, &mut changes)?,
        };
        let (leased, clock) = (&mut self.sequences[sequence], self.clock);
        leased.leased = true;
        leased.last_used = clock;
        Some(Lease { sequence, reused: leased.tokens.len(), changes })
    }

    /// Empties a free sequence, and fills it with as many tokens as were found elsewhere. If nothing was,
    /// the few that it has in common with the prompt stay.
    fn move_in(
        &mut self,
        prompt: &[Token],
        found: Option<(Place, usize)>,
        changes: &mut Vec<Change>,
    ) -> Option<usize> {
        let source = match found {
            Some((Place::Sequence(source), _)) => Some(source),
            _ => None,
        };
        let free = self.coldest_free(source).or(source.filter(|s| !self.sequences[*s].leased))?;
        if let Some((Place::Saved(id), _)) = found {
            // What is about to be used isn't given up for what is saved now.
            self.touch(id);
        }
        self.save(free, changes);
        match found {
            Some((Place::Sequence(source), reused)) if source == free => {
                self.truncate(free, reused, changes);
            }
            Some((place, reused)) => {
                self.truncate(free, 0, changes);
                self.fill(free, place, reused, changes);
            }
            None => {
                let common = common_prefix(&self.sequences[free].tokens, prompt);
                let keep = if self.divisible { common.min(prompt.len().saturating_sub(1)) } else { 0 };
                self.truncate(free, keep, changes);
            }
        }
        Some(free)
    }

    /// Gives an empty sequence the first `reused` tokens of another place.
    fn fill(&mut self, to: usize, place: Place, reused: usize, changes: &mut Vec<Change>) {
        match place {
            Place::Sequence(from) => {
                changes.push(Change::Copy { from, to });
                self.sequences[to].tokens = self.sequences[from].tokens.clone();
            }
            Place::Saved(id) => {
                let Some(index) = self.saved.iter().position(|saved| saved.id == id) else { return };
                changes.push(Change::Restore { id, to });
                if self.loses_little(self.saved[index].tokens.len(), reused) {
                    self.sequences[to].tokens = self.saved.remove(index).tokens;
                    changes.push(Change::Drop { id });
                } else {
                    self.sequences[to].tokens = self.saved[index].tokens.clone();
                }
            }
        }
        self.truncate(to, reused, changes);
    }

    /// Has a free sequence's tokens saved, if that is worth it.
    fn save(&mut self, sequence: usize, changes: &mut Vec<Change>) {
        let Sequence { tokens, last_used, .. } = &self.sequences[sequence];
        let bytes = self.bytes_per_token.saturating_mul(tokens.len() as u64);
        if tokens.len() < WORTH_KEEPING || bytes > self.most_bytes || self.most_bytes == 0 {
            return;
        }
        let (tokens, last_used, id) = (tokens.clone(), *last_used, self.clock);
        changes.push(Change::Save { sequence, id });
        self.saved.push(Saved { id, tokens, bytes: 0, last_used });
    }

    /// Notes what saved tokens take; nothing if they could not be saved. Gives what must be forgotten,
    /// so that all fit.
    pub(super) fn saved(&mut self, id: SavedId, bytes: Option<u64>) -> Vec<SavedId> {
        let Some(index) = self.saved.iter().position(|saved| saved.id == id) else { return vec![id] };
        let Some(bytes) = bytes else {
            self.saved.remove(index);
            return vec![id];
        };
        let saved = &mut self.saved[index];
        saved.bytes = bytes;
        self.bytes_per_token = bytes / (saved.tokens.len() as u64).max(1);
        let mut dropped = Vec::new();
        if self.divisible {
            // What begins this one is of no more use, unless it is about to be.
            let (tokens, clock) = (saved.tokens.clone(), self.clock);
            self.drop_saved(&mut dropped, |other| {
                let begins = other.id != id && tokens.starts_with(&other.tokens);
                begins && other.last_used < clock && other.tokens.len() * WORTH_COPYING >= tokens.len()
            });
        }
        while self.saved_bytes() > self.most_bytes {
            let Some(coldest) = self.saved.iter().min_by_key(|s| s.last_used).map(|s| s.id) else { break };
            self.drop_saved(&mut dropped, |saved| saved.id == coldest);
        }
        dropped
    }

    /// All tokens that there are, and where, the hottest first; those worth it.
    pub(super) fn kept(&self) -> Vec<(Place, Vec<Token>)> {
        let sequences = self.sequences.iter().enumerate();
        let sequences = sequences.map(|(index, s)| (Place::Sequence(index), &s.tokens, s.last_used));
        let saved = self.saved.iter().map(|saved| (Place::Saved(saved.id), &saved.tokens, saved.last_used));
        let mut kept: Vec<_> =
            sequences.chain(saved).filter(|(_, tokens, _)| tokens.len() >= WORTH_KEEPING).collect();
        kept.sort_by_key(|(_, _, last_used)| std::cmp::Reverse(*last_used));
        kept.into_iter().map(|(place, tokens, _)| (place, tokens.clone())).collect()
    }

    /// Notes tokens that were saved before, the hottest so far; the name that they get, and what must be
    /// forgotten so that all fit.
    pub(super) fn adopt(&mut self, tokens: Vec<Token>, bytes: u64) -> (SavedId, Vec<SavedId>) {
        self.clock += 1;
        let id = self.clock;
        self.saved.push(Saved { id, tokens, bytes, last_used: id });
        (id, self.saved(id, Some(bytes)))
    }

    fn drop_saved(&mut self, dropped: &mut Vec<SavedId>, which: impl Fn(&Saved) -> bool) {
        dropped.extend(self.saved.extract_if(.., |saved| which(saved)).map(|saved| saved.id));
    }

    fn touch(&mut self, id: SavedId) {
        let clock = self.clock;
        self.saved.iter_mut().filter(|saved| saved.id == id).for_each(|saved| saved.last_used = clock);
    }

    /// What another sequence, or what is saved, has by now of the prompt that `sequence` computes, if it
    /// is enough more than `sequence` has itself: then it is copied. Gives how many tokens `sequence`
    /// has now.
    pub(super) fn catch_up(&mut self, sequence: usize, prompt: &[Token]) -> Option<(usize, Vec<Change>)> {
        if !self.divisible {
            return None;
        }
        let own = self.sequences[sequence].tokens.len();
        let (place, reused) = self.most_alike(prompt, Some(sequence))?;
        if reused < own + WORTH_KEEPING {
            return None;
        }
        let mut changes = Vec::new();
        self.truncate(sequence, 0, &mut changes);
        self.fill(sequence, place, reused, &mut changes);
        Some((reused, changes))
    }

    /// Notes that `tokens` are in the context, at the sequence's end.
    pub(super) fn extend(&mut self, sequence: usize, tokens: &[Token]) {
        self.sequences[sequence].tokens.extend_from_slice(tokens);
    }

    /// A run is done with its sequence; its tokens stay.
    pub(super) fn release(&mut self, sequence: usize) {
        self.clock += 1;
        self.sequences[sequence].leased = false;
        self.sequences[sequence].last_used = self.clock;
    }

    /// A sequence's tokens are no longer in the context.
    pub(super) fn forget(&mut self, sequence: usize) {
        self.sequences[sequence].tokens.clear();
    }

    /// Tokens that are kept for nobody in particular.
    pub(super) fn idle_tokens(&self) -> usize {
        let idle = self.sequences.iter().filter(|s| !s.leased).map(|s| s.tokens.len());
        idle.chain(self.saved.iter().map(|saved| saved.tokens.len())).sum()
    }

    /// What everything saved may take.
    pub(super) fn most_bytes(&self) -> u64 {
        self.most_bytes
    }

    /// What everything saved takes.
    pub(super) fn saved_bytes(&self) -> u64 {
        self.saved.iter().map(|saved| saved.bytes).sum()
    }

    /// The place whose tokens begin most like `prompt`, and how many they share, less than all of them.
    /// Among equals a free sequence wins, since nothing is copied then, and what is saved comes last.
    fn most_alike(&self, prompt: &[Token], except: Option<usize>) -> Option<(Place, usize)> {
        let limit = prompt.len().saturating_sub(1);
        let common = |tokens: &[Token]| common_prefix(tokens, prompt).min(limit);
        let sequences = self.sequences.iter().enumerate().filter_map(|(index, sequence)| {
            let common = common(&sequence.tokens);
            let usable = if self.divisible { common > 0 } else { common == sequence.tokens.len() };
            let free = !sequence.leased;
            let own = free && self.is_free_for(index, common);
            let usable = usable && common > 0 && Some(index) != except && (free || self.divisible);
            (usable && (own || self.is_worth_copying(sequence.tokens.len(), common)))
                .then_some(((common, u8::from(free) + 1), Place::Sequence(index)))
        });
        let saved = self.saved.iter().filter_map(|saved| {
            let common = common(&saved.tokens);
            let usable = self.divisible || common == saved.tokens.len();
            (usable && self.is_worth_copying(saved.tokens.len(), common))
                .then_some(((common, 0), Place::Saved(saved.id)))
        });
        let best = sequences.chain(saved).max_by_key(|(key, _)| *key)?;
        Some((best.1, best.0.0))
    }

    /// Whether a run may take the sequence over: nobody has it, and little is lost.
    fn is_free_for(&self, sequence: usize, reused: usize) -> bool {
        let sequence = &self.sequences[sequence];
        !sequence.leased && self.loses_little(sequence.tokens.len(), reused)
    }

    fn loses_little(&self, tokens: usize, reused: usize) -> bool {
        tokens - reused < WORTH_KEEPING || !self.divisible
    }

    /// Whether `reused` of so many tokens are worth that all of them are copied.
    fn is_worth_copying(&self, tokens: usize, reused: usize) -> bool {
        !self.divisible || (reused >= WORTH_KEEPING && reused * WORTH_COPYING >= tokens)
    }

    /// A sequence for something else: an empty one, and the first of those, since llama.cpp computes
    /// neighbours together; else the one that was used longest ago.
    fn coldest_free(&self, except: Option<usize>) -> Option<usize> {
        let free = self.sequences.iter().enumerate().filter(|(i, s)| !s.leased && Some(*i) != except);
        let coldness = |s: &Sequence| if s.tokens.is_empty() { 0 } else { s.last_used };
        free.min_by_key(|(_, s)| coldness(s)).map(|(index, _)| index)
    }

    fn truncate(&mut self, sequence: usize, keep: usize, changes: &mut Vec<Change>) {
        let tokens = &mut self.sequences[sequence].tokens;
        if tokens.len() > keep {
            tokens.truncate(keep);
            changes.push(Change::Truncate { sequence, keep });
        }
    }
}

/// How many tokens both begin with.
pub(super) fn common_prefix(a: &[Token], b: &[Token]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    /// Room for whatever these tests save.
    const ROOM: u64 = 1 << 20;

    fn tokens(range: std::ops::Range<i32>) -> Vec<Token> {
        range.collect()
    }

    /// Runs a prompt to its end, with an answer, and gives its lease. What is saved takes a byte for
    /// each token.
    fn run(prefixes: &mut Prefixes, prompt: &[Token], answer: &[Token]) -> Lease {
        let lease = prefixes.lease(prompt).unwrap();
        for change in &lease.changes {
            if let Change::Save { id, .. } = change {
                let tokens = prefixes.saved.iter().find(|saved| saved.id == *id).unwrap().tokens.len();
                prefixes.saved(*id, Some(tokens as u64));
            }
        }
        prefixes.extend(lease.sequence, &prompt[lease.reused..]);
        prefixes.extend(lease.sequence, answer);
        prefixes.release(lease.sequence);
        lease
    }

    fn reused(prefixes: &mut Prefixes, prompt: &[Token]) -> usize {
        run(prefixes, prompt, &[]).reused
    }

    #[test]
    fn the_next_turn_takes_its_conversation_over() {
        let mut prefixes = Prefixes::new(3, ROOM, true);
        let first = run(&mut prefixes, &tokens(0..50), &tokens(100..120));
        let next = [tokens(0..50), tokens(100..120), tokens(200..210)].concat();
        let second = run(&mut prefixes, &next, &[]);
        assert_eq!((second.sequence, second.reused, second.changes), (first.sequence, 70, vec![]));
    }

    #[test]
    fn the_same_prompt_again_computes_its_last_token_only() {
        let mut prefixes = Prefixes::new(3, ROOM, true);
        let first = run(&mut prefixes, &tokens(0..50), &[]);
        let again = run(&mut prefixes, &tokens(0..50), &[]);
        let cut = Change::Truncate { sequence: first.sequence, keep: 49 };
        assert_eq!((again.reused, again.changes), (49, vec![cut]));
    }

    #[test]
    fn instructions_are_copied_and_other_conversations_stay() {
        let mut prefixes = Prefixes::new(3, ROOM, true);
        let first = run(&mut prefixes, &tokens(0..100), &[]);
        let other = [tokens(0..60), tokens(500..540)].concat();
        let second = run(&mut prefixes, &other, &[]);
        let copied = [
            Change::Copy { from: first.sequence, to: second.sequence },
            Change::Truncate { sequence: second.sequence, keep: 60 },
        ];
        assert_eq!((second.reused, &second.changes[..]), (60, &copied[..]));
        assert_eq!(reused(&mut prefixes, &tokens(0..110)), 100);
    }

    #[test]
    fn a_few_tokens_of_many_are_not_worth_a_copy() {
        let mut prefixes = Prefixes::new(2, ROOM, true);
        run(&mut prefixes, &tokens(0..1000), &[]);
        assert_eq!(reused(&mut prefixes, &[tokens(0..40), tokens(5000..5040)].concat()), 0);
        assert_eq!(reused(&mut prefixes, &[tokens(0..80), tokens(6000..6040)].concat()), 80);
    }

    #[test]
    fn the_few_tokens_that_prompts_have_in_common_stay() {
        let mut prefixes = Prefixes::new(1, 0, true);
        run(&mut prefixes, &tokens(0..100), &[]);
        assert_eq!(reused(&mut prefixes, &[tokens(0..5), tokens(500..540)].concat()), 5);
    }

    #[test]
    fn a_run_copies_what_a_running_one_has_computed() {
        let mut prefixes = Prefixes::new(3, ROOM, true);
        let first = prefixes.lease(&tokens(0..100)).unwrap();
        let second = prefixes.lease(&tokens(0..100)).unwrap();
        assert_eq!(second.reused, 0);
        prefixes.extend(first.sequence, &tokens(0..64));
        let (have, changes) = prefixes.catch_up(second.sequence, &tokens(0..100)).unwrap();
        assert_eq!(have, 64);
        assert_eq!(changes, [Change::Copy { from: first.sequence, to: second.sequence }]);
        assert!(prefixes.catch_up(second.sequence, &tokens(0..100)).is_none());
    }

    #[test]
    fn conversations_without_a_slot_are_saved_and_come_back() {
        let mut prefixes = Prefixes::new(1, ROOM, true);
        run(&mut prefixes, &tokens(0..50), &tokens(50..60));
        let other = run(&mut prefixes, &tokens(100..150), &[]);
        assert!(matches!(other.changes[..], [Change::Save { .. }, Change::Truncate { keep: 0, .. }]));
        let back = run(&mut prefixes, &tokens(0..70), &[]);
        assert_eq!(back.reused, 60);
        let [
            Change::Save { .. },
            Change::Truncate { .. },
            Change::Restore { id, .. },
            Change::Drop { id: dropped },
        ] = back.changes[..]
        else {
            panic!("{:?}", back.changes)
        };
        assert_eq!(id, dropped, "what the sequence has is not kept twice");
        assert_eq!(reused(&mut prefixes, &tokens(100..160)), 50);
        assert_eq!(prefixes.saved.len(), 1);
    }

    #[test]
    fn the_coldest_is_given_up_when_no_more_can_be_saved() {
        let mut prefixes = Prefixes::new(1, 100, true);
        for start in [0, 100, 200, 300] {
            run(&mut prefixes, &tokens(start..start + 50), &[]);
        }
        // The last is in its sequence, and the two before it are saved.
        assert_eq!((prefixes.saved_bytes(), prefixes.idle_tokens()), (100, 150));
        assert_eq!(reused(&mut prefixes, &tokens(0..60)), 0);
        assert_eq!(reused(&mut prefixes, &tokens(300..360)), 50);
        // One larger than all the room isn't even tried.
        run(&mut prefixes, &tokens(1000..1200), &[]);
        assert!(run(&mut prefixes, &tokens(0..20), &[]).changes.len() == 1);
    }

    #[test]
    fn without_room_nothing_is_saved() {
        let mut prefixes = Prefixes::new(1, 0, true);
        let first = run(&mut prefixes, &tokens(0..50), &[]);
        let cut = Change::Truncate { sequence: first.sequence, keep: 0 };
        assert_eq!(run(&mut prefixes, &tokens(100..150), &[]).changes, [cut]);
    }

    #[test]
    fn what_cant_be_saved_is_forgotten() {
        let mut prefixes = Prefixes::new(1, ROOM, true);
        run(&mut prefixes, &tokens(0..50), &[]);
        let lease = prefixes.lease(&tokens(100..150)).unwrap();
        let Change::Save { id, .. } = lease.changes[0] else { panic!("{:?}", lease.changes) };
        assert_eq!(prefixes.saved(id, None), [id]);
        prefixes.release(lease.sequence);
        assert_eq!(reused(&mut prefixes, &tokens(0..60)), 0);
    }

    #[test]
    fn the_first_empty_sequence_comes_first() {
        let mut prefixes = Prefixes::new(3, ROOM, true);
        let starts = [0, 100, 200].map(|start| prefixes.lease(&tokens(start..start + 5)).unwrap().sequence);
        assert_eq!(starts, [0, 1, 2]);
    }

    #[test]
    fn an_indivisible_state_serves_only_what_it_begins() {
        let mut prefixes = Prefixes::new(2, ROOM, false);
        run(&mut prefixes, &tokens(0..50), &[]);
        assert_eq!(reused(&mut prefixes, &tokens(0..60)), 50);
        assert_eq!(reused(&mut prefixes, &tokens(0..55)), 0);
    }

    #[test]
    fn when_every_sequence_has_a_run_there_is_none_to_lease() {
        let mut prefixes = Prefixes::new(1, ROOM, true);
        let lease = prefixes.lease(&[1, 2]).unwrap();
        assert_eq!(prefixes.lease(&[1, 2]), None);
        prefixes.release(lease.sequence);
        assert!(prefixes.lease(&[1, 2]).is_some());
    }

    /// What the changes make of a context.
    #[derive(Default)]
    struct Model {
        sequences: Vec<Vec<Token>>,
        saved: HashMap<SavedId, Vec<Token>>,
    }

    impl Model {
        /// Fails where a change asks for what isn't there, or touches what a run has.
        fn apply(&mut self, prefixes: &mut Prefixes, changes: &[Change], of_runs: &[usize]) {
            let divisible = prefixes.divisible;
            for change in changes {
                match *change {
                    Change::Truncate { sequence, keep } => {
                        assert!(!of_runs.contains(&sequence) && (divisible || keep == 0));
                        self.sequences[sequence].truncate(keep);
                    }
                    Change::Copy { from, to } => {
                        assert!(divisible && self.sequences[to].is_empty() && !of_runs.contains(&to));
                        self.sequences[to] = self.sequences[from].clone();
                    }
                    Change::Save { sequence, id } => {
                        self.saved.insert(id, self.sequences[sequence].clone());
                        let bytes = self.sequences[sequence].len() as u64;
                        for dropped in prefixes.saved(id, Some(bytes)) {
                            assert!(self.saved.remove(&dropped).is_some());
                        }
                        assert!(prefixes.saved_bytes() <= prefixes.most_bytes);
                    }
                    Change::Restore { id, to } => {
                        assert!(self.sequences[to].is_empty() && !of_runs.contains(&to));
                        self.sequences[to] = self.saved[&id].clone();
                    }
                    Change::Drop { id } => assert!(self.saved.remove(&id).is_some()),
                }
            }
            assert_eq!(self.saved.len(), prefixes.saved.len(), "something is kept that nobody knows of");
        }
    }

    fn prompts() -> impl Strategy<Value = Vec<(Vec<Token>, usize, bool)>> {
        // Long repetitions of few tokens: many prompts begin alike.
        let prompt = proptest::collection::vec((0i32..3, 1usize..30), 1..5).prop_map(|parts| {
            parts.into_iter().flat_map(|(token, times)| std::iter::repeat_n(token, times)).collect()
        });
        proptest::collection::vec((prompt, 0usize..20, any::<bool>()), 1..40)
    }

    proptest! {
        /// A model of the context does what the changes say: it must hold what the bookkeeping says.
        #[test]
        fn the_context_holds_what_is_said(runs in prompts(), room in 0u64..200, divisible in any::<bool>()) {
            let mut prefixes = Prefixes::new(4, room, divisible);
            let mut model = Model { sequences: vec![Vec::new(); 4], ..Model::default() };
            let mut open: Vec<usize> = Vec::new();
            for (prompt, answer, stays) in runs {
                if open.len() == 4 {
                    prefixes.release(open.remove(0));
                }
                let lease = prefixes.lease(&prompt).unwrap();
                prop_assert!(lease.reused < prompt.len());
                prop_assert!(!open.contains(&lease.sequence));
                model.apply(&mut prefixes, &lease.changes, &open);
                let mut have = lease.reused;
                if let Some((caught_up, changes)) = prefixes.catch_up(lease.sequence, &prompt) {
                    prop_assert!(have < caught_up && caught_up < prompt.len());
                    model.apply(&mut prefixes, &changes, &open);
                    have = caught_up;
                }
                let sequence = &mut model.sequences[lease.sequence];
                prop_assert_eq!(&sequence[..], &prompt[..have]);
                let added = [&prompt[have..], &vec![9; answer]].concat();
                sequence.extend_from_slice(&added);
                prefixes.extend(lease.sequence, &added);
                if stays { open.push(lease.sequence) } else { prefixes.release(lease.sequence) }
            }
        }
    }
}
