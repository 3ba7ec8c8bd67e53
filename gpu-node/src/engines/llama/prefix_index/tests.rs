use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

/// Enough for all states that these tests save.
const ROOM: u64 = 1 << 20;

fn tokens(range: std::ops::Range<i32>) -> Vec<Token> {
    range.collect()
}

/// Runs a prompt to its end, with an answer, and returns its lease. A saved state takes a byte per token.
fn run(prefixes: &mut PrefixIndex, prompt: &[Token], answer: &[Token]) -> Lease {
    let lease = prefixes.lease(prompt).unwrap();
    for operation in &lease.operations {
        if let CacheOp::Save { id, .. } = operation {
            let tokens = prefixes.saved.iter().find(|saved| saved.id == *id).unwrap().tokens.len();
            prefixes.set_saved_size(*id, Some(tokens as u64));
        }
    }
    prefixes.extend(lease.sequence, &prompt[lease.cached_tokens..]);
    prefixes.extend(lease.sequence, answer);
    prefixes.release(lease.sequence);
    lease
}

fn reused(prefixes: &mut PrefixIndex, prompt: &[Token]) -> usize {
    run(prefixes, prompt, &[]).cached_tokens
}

#[test]
fn next_turn_takes_over_the_sequence_of_its_conversation() {
    let mut prefixes = PrefixIndex::new(3, ROOM, true);
    let first = run(&mut prefixes, &tokens(0..50), &tokens(100..120));
    let next = [tokens(0..50), tokens(100..120), tokens(200..210)].concat();
    let second = run(&mut prefixes, &next, &[]);
    assert_eq!((second.sequence, second.cached_tokens, second.operations), (first.sequence, 70, vec![]));
}

#[test]
fn repeated_prompt_computes_its_last_token_only() {
    let mut prefixes = PrefixIndex::new(3, ROOM, true);
    let first = run(&mut prefixes, &tokens(0..50), &[]);
    let again = run(&mut prefixes, &tokens(0..50), &[]);
    let cut = CacheOp::Truncate { sequence: first.sequence, keep: 49 };
    assert_eq!((again.cached_tokens, again.operations), (49, vec![cut]));
}

#[test]
fn shared_instructions_are_copied_and_other_conversations_stay() {
    let mut prefixes = PrefixIndex::new(3, ROOM, true);
    let first = run(&mut prefixes, &tokens(0..100), &[]);
    let other = [tokens(0..60), tokens(500..540)].concat();
    let second = run(&mut prefixes, &other, &[]);
    let copied = [
        CacheOp::Copy { from: first.sequence, to: second.sequence },
        CacheOp::Truncate { sequence: second.sequence, keep: 60 },
    ];
    assert_eq!((second.cached_tokens, &second.operations[..]), (60, &copied[..]));
    assert_eq!(reused(&mut prefixes, &tokens(0..110)), 100);
}

#[test]
fn few_tokens_of_a_long_sequence_are_not_copied() {
    let mut prefixes = PrefixIndex::new(2, ROOM, true);
    run(&mut prefixes, &tokens(0..1000), &[]);
    assert_eq!(reused(&mut prefixes, &[tokens(0..40), tokens(5000..5040)].concat()), 0);
    assert_eq!(reused(&mut prefixes, &[tokens(0..80), tokens(6000..6040)].concat()), 80);
}

#[test]
fn few_common_tokens_stay_in_the_only_sequence() {
    let mut prefixes = PrefixIndex::new(1, 0, true);
    run(&mut prefixes, &tokens(0..100), &[]);
    assert_eq!(reused(&mut prefixes, &[tokens(0..5), tokens(500..540)].concat()), 5);
}

#[test]
fn catch_up_copies_tokens_of_a_running_sequence() {
    let mut prefixes = PrefixIndex::new(3, ROOM, true);
    let first = prefixes.lease(&tokens(0..100)).unwrap();
    let second = prefixes.lease(&tokens(0..100)).unwrap();
    assert_eq!(second.cached_tokens, 0);
    prefixes.extend(first.sequence, &tokens(0..64));
    let (have, operations) = prefixes.catch_up(second.sequence, &tokens(0..100)).unwrap();
    assert_eq!(have, 64);
    assert_eq!(operations, [CacheOp::Copy { from: first.sequence, to: second.sequence }]);
    assert!(prefixes.catch_up(second.sequence, &tokens(0..100)).is_none());
}

#[test]
fn conversation_without_a_sequence_is_saved_and_restored() {
    let mut prefixes = PrefixIndex::new(1, ROOM, true);
    run(&mut prefixes, &tokens(0..50), &tokens(50..60));
    let other = run(&mut prefixes, &tokens(100..150), &[]);
    assert!(matches!(other.operations[..], [CacheOp::Save { .. }, CacheOp::Truncate { keep: 0, .. }]));
    let back = run(&mut prefixes, &tokens(0..70), &[]);
    assert_eq!(back.cached_tokens, 60);
    let [
        CacheOp::Save { .. },
        CacheOp::Truncate { .. },
        CacheOp::Restore { id, .. },
        CacheOp::Drop { id: dropped },
    ] = back.operations[..]
    else {
        panic!("{:?}", back.operations)
    };
    assert_eq!(id, dropped, "a restored state is not kept twice");
    assert_eq!(reused(&mut prefixes, &tokens(100..160)), 50);
    assert_eq!(prefixes.saved.len(), 1);
}

#[test]
fn least_recently_used_state_is_dropped_when_saved_states_exceed_the_limit() {
    let mut prefixes = PrefixIndex::new(1, 100, true);
    for start in [0, 100, 200, 300] {
        run(&mut prefixes, &tokens(start..start + 50), &[]);
    }
    // The last prompt is in the sequence, and the two before it are saved.
    assert_eq!((prefixes.saved_bytes(), prefixes.idle_tokens()), (100, 150));
    assert_eq!(reused(&mut prefixes, &tokens(0..60)), 0);
    assert_eq!(reused(&mut prefixes, &tokens(300..360)), 50);
    // A prompt larger than the limit is not saved.
    run(&mut prefixes, &tokens(1000..1200), &[]);
    assert!(run(&mut prefixes, &tokens(0..20), &[]).operations.len() == 1);
}

#[test]
fn nothing_is_saved_with_a_limit_of_zero() {
    let mut prefixes = PrefixIndex::new(1, 0, true);
    let first = run(&mut prefixes, &tokens(0..50), &[]);
    let cut = CacheOp::Truncate { sequence: first.sequence, keep: 0 };
    assert_eq!(run(&mut prefixes, &tokens(100..150), &[]).operations, [cut]);
}

#[test]
fn failed_save_is_forgotten() {
    let mut prefixes = PrefixIndex::new(1, ROOM, true);
    run(&mut prefixes, &tokens(0..50), &[]);
    let lease = prefixes.lease(&tokens(100..150)).unwrap();
    let CacheOp::Save { id, .. } = lease.operations[0] else { panic!("{:?}", lease.operations) };
    assert_eq!(prefixes.set_saved_size(id, None), [id]);
    prefixes.release(lease.sequence);
    assert_eq!(reused(&mut prefixes, &tokens(0..60)), 0);
}

#[test]
fn empty_sequences_are_leased_in_order() {
    let mut prefixes = PrefixIndex::new(3, ROOM, true);
    let starts = [0, 100, 200].map(|start| prefixes.lease(&tokens(start..start + 5)).unwrap().sequence);
    assert_eq!(starts, [0, 1, 2]);
}

#[test]
fn recurrent_state_is_used_only_by_prompts_that_begin_with_all_of_it() {
    let mut prefixes = PrefixIndex::new(2, ROOM, false);
    run(&mut prefixes, &tokens(0..50), &[]);
    assert_eq!(reused(&mut prefixes, &tokens(0..60)), 50);
    assert_eq!(reused(&mut prefixes, &tokens(0..55)), 0);
}

#[test]
fn lease_fails_while_every_sequence_is_leased() {
    let mut prefixes = PrefixIndex::new(1, ROOM, true);
    let lease = prefixes.lease(&[1, 2]).unwrap();
    assert_eq!(prefixes.lease(&[1, 2]), None);
    prefixes.release(lease.sequence);
    assert!(prefixes.lease(&[1, 2]).is_some());
}

/// A model of the context, to which operations are applied.
#[derive(Default)]
struct Model {
    sequences: Vec<Vec<Token>>,
    saved: HashMap<SavedId, Vec<Token>>,
}

impl Model {
    /// Panics if an operation uses something that doesn't exist, or operations a sequence of a run.
    fn apply(&mut self, prefixes: &mut PrefixIndex, operations: &[CacheOp], leased: &[usize]) {
        let truncatable = prefixes.truncatable;
        for operation in operations {
            match *operation {
                CacheOp::Truncate { sequence, keep } => {
                    assert!(!leased.contains(&sequence) && (truncatable || keep == 0));
                    self.sequences[sequence].truncate(keep);
                }
                CacheOp::Copy { from, to } => {
                    assert!(truncatable && self.sequences[to].is_empty() && !leased.contains(&to));
                    self.sequences[to] = self.sequences[from].clone();
                }
                CacheOp::Save { sequence, id } => {
                    self.saved.insert(id, self.sequences[sequence].clone());
                    let bytes = self.sequences[sequence].len() as u64;
                    for dropped in prefixes.set_saved_size(id, Some(bytes)) {
                        assert!(self.saved.remove(&dropped).is_some());
                    }
                    assert!(prefixes.saved_bytes() <= prefixes.saved_max_bytes);
                }
                CacheOp::Restore { id, to } => {
                    assert!(self.sequences[to].is_empty() && !leased.contains(&to));
                    self.sequences[to] = self.saved[&id].clone();
                }
                CacheOp::Drop { id } => assert!(self.saved.remove(&id).is_some()),
            }
        }
        assert_eq!(self.saved.len(), prefixes.saved.len(), "a state is saved that the index doesn't know");
    }
}

fn prompts() -> impl Strategy<Value = Vec<(Vec<Token>, usize, bool)>> {
    // Long repetitions of few tokens: many prompts have a common prefix.
    let prompt = proptest::collection::vec((0i32..3, 1usize..30), 1..5).prop_map(|parts| {
        parts.into_iter().flat_map(|(token, times)| std::iter::repeat_n(token, times)).collect()
    });
    proptest::collection::vec((prompt, 0usize..20, any::<bool>()), 1..40)
}

proptest! {
    /// A model of the context that applies the operations has the tokens that the index says.
    #[test]
    fn operations_keep_context_and_index_equal(runs in prompts(), room in 0u64..200, truncatable in any::<bool>()) {
        let mut prefixes = PrefixIndex::new(4, room, truncatable);
        let mut model = Model { sequences: vec![Vec::new(); 4], ..Model::default() };
        let mut open: Vec<usize> = Vec::new();
        for (prompt, answer, stays) in runs {
            if open.len() == 4 {
                prefixes.release(open.remove(0));
            }
            let lease = prefixes.lease(&prompt).unwrap();
            prop_assert!(lease.cached_tokens < prompt.len());
            prop_assert!(!open.contains(&lease.sequence));
            model.apply(&mut prefixes, &lease.operations, &open);
            let mut have = lease.cached_tokens;
            if let Some((caught_up, operations)) = prefixes.catch_up(lease.sequence, &prompt) {
                prop_assert!(have < caught_up && caught_up < prompt.len());
                model.apply(&mut prefixes, &operations, &open);
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
