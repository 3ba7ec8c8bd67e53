//! Which tokens' keys and values the context holds: the prefix cache.
//!
//! A sequence of the context belongs to a run while it goes on, and keeps its tokens after that. A new
//! prompt looks for the sequence that begins most like it: takes it over if the rest of it is nothing
//! that another prompt could use, and shares its beginning otherwise. So a conversation's next turn
//! computes only what is new, and runs with the same instructions compute them once.
//!
//! This is bookkeeping alone: what must happen to the context comes back as [`Change`]s.

/// A token, as the context numbers them.
pub(super) type Token = i32;

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
    /// Have a sequence that is empty share the beginning of another.
    Share {
        /// The sequence that has the tokens.
        from: usize,
        /// The empty one.
        to: usize,
        /// How many tokens.
        tokens: usize,
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

/// The context's sequences.
#[derive(Debug)]
pub(super) struct Prefixes {
    sequences: Vec<Sequence>,
    /// Whether a sequence can be cut anywhere. A recurrent model's state can't: it serves only prompts
    /// that it is a beginning of as a whole.
    divisible: bool,
    clock: u64,
}

/// A sequence is worth keeping for others if this many of its tokens would be lost to a run that takes
/// it over.
const WORTH_KEEPING: usize = 16;

impl Prefixes {
    pub(super) fn new(sequences: usize, divisible: bool) -> Self {
        let sequences = std::iter::repeat_with(Sequence::default).take(sequences).collect();
        Self { sequences, divisible, clock: 0 }
    }

    /// A sequence for a run with this prompt; `None` if every one belongs to a run.
    pub(super) fn lease(&mut self, prompt: &[Token]) -> Option<Lease> {
        self.clock += 1;
        let (source, reused) = self.most_alike(prompt, None);
        let mut changes = Vec::new();
        let sequence = match source {
            Some(source) if self.is_free_for(source, reused) => {
                let sequence = &mut self.sequences[source];
                if sequence.tokens.len() > reused {
                    sequence.tokens.truncate(reused);
                    changes.push(Change::Truncate { sequence: source, keep: reused });
                }
                source
            }
            _ => {
                let free = self.coldest_free(source).or(source.filter(|s| !self.sequences[*s].leased))?;
                if source == Some(free) {
                    self.truncate(free, reused, &mut changes);
                } else {
                    self.truncate(free, 0, &mut changes);
                    if let Some(source) = source {
                        self.share(source, free, reused, &mut changes);
                    }
                }
                free
            }
        };
        let (leased, clock) = (&mut self.sequences[sequence], self.clock);
        leased.leased = true;
        leased.last_used = clock;
        Some(Lease { sequence, reused: leased.tokens.len(), changes })
    }

    /// What another sequence has by now of the prompt that `sequence` computes, if it is more than
    /// `sequence` has itself: then it is shared. Gives how many tokens `sequence` has now.
    pub(super) fn catch_up(&mut self, sequence: usize, prompt: &[Token]) -> Option<(usize, Vec<Change>)> {
        if !self.divisible {
            return None;
        }
        let own = self.sequences[sequence].tokens.len();
        let (source, reused) = self.most_alike(prompt, Some(sequence));
        let source = source.filter(|_| reused >= own + WORTH_KEEPING)?;
        let mut changes = Vec::new();
        self.truncate(sequence, 0, &mut changes);
        self.share(source, sequence, reused, &mut changes);
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

    /// Forgets the tokens of the sequence that nobody has used for longest; `None` if there are none
    /// but those of runs.
    pub(super) fn evict(&mut self) -> Option<Change> {
        let idle = self.sequences.iter().enumerate().filter(|(_, s)| !s.leased && !s.tokens.is_empty());
        let (coldest, _) = idle.min_by_key(|(_, s)| s.last_used)?;
        self.forget(coldest);
        Some(Change::Truncate { sequence: coldest, keep: 0 })
    }

    /// A sequence's tokens are no longer in the context.
    pub(super) fn forget(&mut self, sequence: usize) {
        self.sequences[sequence].tokens.clear();
    }

    /// Tokens that are kept for nobody in particular.
    pub(super) fn idle_tokens(&self) -> usize {
        self.sequences.iter().filter(|s| !s.leased).map(|s| s.tokens.len()).sum()
    }

    /// The sequence that begins most like `prompt`, and how many tokens they share, less than all of
    /// them. A free one wins among equals, since nothing is shared then.
    fn most_alike(&self, prompt: &[Token], except: Option<usize>) -> (Option<usize>, usize) {
        let limit = prompt.len().saturating_sub(1);
        let mut best = (None, 0);
        let mut best_is_free = false;
        for (index, sequence) in self.sequences.iter().enumerate() {
            if Some(index) == except || (sequence.leased && !self.divisible) {
                continue;
            }
            let common = common_prefix(&sequence.tokens, prompt).min(limit);
            if !self.divisible && common < sequence.tokens.len() {
                continue;
            }
            let free = !sequence.leased;
            if common > best.1 || (common == best.1 && common > 0 && free && !best_is_free) {
                best = (Some(index), common);
                best_is_free = free;
            }
        }
        best
    }

    /// Whether a run may take the sequence over: nobody has it, and little is lost.
    fn is_free_for(&self, sequence: usize, reused: usize) -> bool {
        let sequence = &self.sequences[sequence];
        !sequence.leased && (sequence.tokens.len() - reused < WORTH_KEEPING || !self.divisible)
    }

    fn coldest_free(&self, except: Option<usize>) -> Option<usize> {
        let free = self.sequences.iter().enumerate().filter(|(i, s)| !s.leased && Some(*i) != except);
        free.min_by_key(|(_, s)| (!s.tokens.is_empty(), s.last_used)).map(|(index, _)| index)
    }

    fn truncate(&mut self, sequence: usize, keep: usize, changes: &mut Vec<Change>) {
        let tokens = &mut self.sequences[sequence].tokens;
        if tokens.len() > keep {
            tokens.truncate(keep);
            changes.push(Change::Truncate { sequence, keep });
        }
    }

    fn share(&mut self, from: usize, to: usize, tokens: usize, changes: &mut Vec<Change>) {
        let shared = self.sequences[from].tokens[..tokens].to_vec();
        self.sequences[to].tokens = shared;
        changes.push(Change::Share { from, to, tokens });
    }
}

fn common_prefix(a: &[Token], b: &[Token]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tokens(range: std::ops::Range<i32>) -> Vec<Token> {
        range.collect()
    }

    /// Runs a prompt to its end, with an answer, and gives its lease.
    fn run(prefixes: &mut Prefixes, prompt: &[Token], answer: &[Token]) -> Lease {
        let lease = prefixes.lease(prompt).unwrap();
        prefixes.extend(lease.sequence, &prompt[lease.reused..]);
        prefixes.extend(lease.sequence, answer);
        prefixes.release(lease.sequence);
        lease
    }

    #[test]
    fn the_next_turn_takes_its_conversation_over() {
        let mut prefixes = Prefixes::new(3, true);
        let first = run(&mut prefixes, &tokens(0..50), &tokens(100..120));
        let next = [tokens(0..50), tokens(100..120), tokens(200..210)].concat();
        let second = run(&mut prefixes, &next, &[]);
        assert_eq!((second.sequence, second.reused, second.changes), (first.sequence, 70, vec![]));
    }

    #[test]
    fn the_same_prompt_again_computes_its_last_token_only() {
        let mut prefixes = Prefixes::new(3, true);
        let first = run(&mut prefixes, &tokens(0..50), &[]);
        let again = run(&mut prefixes, &tokens(0..50), &[]);
        let cut = Change::Truncate { sequence: first.sequence, keep: 49 };
        assert_eq!((again.reused, again.changes), (49, vec![cut]));
    }

    #[test]
    fn instructions_are_shared_and_other_conversations_stay() {
        let mut prefixes = Prefixes::new(3, true);
        let first = run(&mut prefixes, &tokens(0..100), &[]);
        let other = [tokens(0..60), tokens(500..540)].concat();
        let second = run(&mut prefixes, &other, &[]);
        assert_ne!(second.sequence, first.sequence);
        assert_eq!(second.changes, [Change::Share { from: first.sequence, to: second.sequence, tokens: 60 }]);
        assert_eq!(run(&mut prefixes, &tokens(0..110), &[]).reused, 100);
    }

    #[test]
    fn a_run_shares_what_a_running_one_has_computed() {
        let mut prefixes = Prefixes::new(3, true);
        let first = prefixes.lease(&tokens(0..100)).unwrap();
        let second = prefixes.lease(&tokens(0..100)).unwrap();
        assert_eq!(second.reused, 0);
        prefixes.extend(first.sequence, &tokens(0..64));
        let (have, changes) = prefixes.catch_up(second.sequence, &tokens(0..100)).unwrap();
        assert_eq!(have, 64);
        assert_eq!(changes, [Change::Share { from: first.sequence, to: second.sequence, tokens: 64 }]);
        assert!(prefixes.catch_up(second.sequence, &tokens(0..100)).is_none());
    }

    #[test]
    fn a_full_context_forgets_the_coldest_first_and_no_run() {
        let mut prefixes = Prefixes::new(3, true);
        let cold = run(&mut prefixes, &tokens(0..50), &[]);
        let warm = run(&mut prefixes, &tokens(100..150), &[]);
        let leased = prefixes.lease(&tokens(200..250)).unwrap();
        prefixes.extend(leased.sequence, &tokens(200..250));
        assert_eq!(prefixes.evict(), Some(Change::Truncate { sequence: cold.sequence, keep: 0 }));
        assert_eq!(prefixes.evict(), Some(Change::Truncate { sequence: warm.sequence, keep: 0 }));
        assert_eq!(prefixes.evict(), None);
    }

    #[test]
    fn an_indivisible_state_serves_only_what_it_begins() {
        let mut prefixes = Prefixes::new(2, false);
        run(&mut prefixes, &tokens(0..50), &[]);
        assert_eq!(run(&mut prefixes, &tokens(0..60), &[]).reused, 50);
        assert_eq!(run(&mut prefixes, &tokens(0..55), &[]).reused, 0);
    }

    #[test]
    fn when_every_sequence_has_a_run_there_is_none_to_lease() {
        let mut prefixes = Prefixes::new(1, true);
        let lease = prefixes.lease(&[1, 2]).unwrap();
        assert_eq!(prefixes.lease(&[1, 2]), None);
        prefixes.release(lease.sequence);
        assert!(prefixes.lease(&[1, 2]).is_some());
    }

    proptest! {
        /// A model of the context does what the changes say: it must hold what the bookkeeping says.
        #[test]
        fn the_context_holds_what_is_said(
            runs in proptest::collection::vec((proptest::collection::vec(0i32..3, 1..60), 0usize..5, any::<bool>()), 1..40),
            divisible in any::<bool>(),
        ) {
            let mut prefixes = Prefixes::new(4, divisible);
            let mut context: Vec<Vec<Token>> = vec![Vec::new(); 4];
            let mut open = Vec::new();
            for (prompt, answer, stays) in runs {
                if open.len() == 4 {
                    prefixes.release(open.remove(0));
                }
                let lease = prefixes.lease(&prompt).unwrap();
                prop_assert!(lease.reused < prompt.len());
                prop_assert!(!open.contains(&lease.sequence));
                for change in lease.changes {
                    match change {
                        Change::Truncate { sequence, keep } => {
                            prop_assert!(!open.contains(&sequence) && (divisible || keep == 0));
                            context[sequence].truncate(keep);
                        }
                        Change::Share { from, to, tokens } => {
                            prop_assert!(divisible && context[to].is_empty());
                            context[to] = context[from][..tokens].to_vec();
                        }
                    }
                }
                let sequence = &mut context[lease.sequence];
                prop_assert_eq!(&sequence[..], &prompt[..lease.reused]);
                let added = [&prompt[lease.reused..], &vec![9; answer]].concat();
                sequence.extend_from_slice(&added);
                prefixes.extend(lease.sequence, &added);
                if stays { open.push(lease.sequence) } else { prefixes.release(lease.sequence) }
            }
        }
    }
}
