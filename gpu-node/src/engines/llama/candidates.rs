//! The likeliest tokens of a row of logits.
//!
//! A vocabulary has up to a quarter of a million tokens, of which sampling looks at some forty: one
//! pass over the row finds them, and all that follows works on those.

/// A token's index and its logit.
pub(super) type Candidate = (u32, f32);

/// Tokens looked at together: only if the largest of them is large enough is each one looked at.
const CHUNK: usize = 16;

/// Puts the `most` likeliest tokens into `into`, likeliest first; of equals the first. What is not a
/// number, or minus infinity, is no candidate.
pub(super) fn likeliest(logits: &[f32], most: usize, into: &mut Vec<Candidate>) {
    into.clear();
    let most = most.min(logits.len());
    if most == 0 {
        return;
    }
    // Cutting back costs as much as it throws away, so it is done when there is as much to throw away.
    let full = most.saturating_mul(2).max(64);
    let mut least = f32::NEG_INFINITY;
    for (chunk, first) in logits.chunks(CHUNK).zip((0u32..).step_by(CHUNK)) {
        if chunk.iter().fold(f32::NEG_INFINITY, |most, logit| most.max(*logit)) <= least {
            continue;
        }
        into.extend((first..).zip(chunk.iter().copied()).filter(|(_, logit)| *logit > least));
        if into.len() >= full {
            cut(into, most);
            least = into.last().map_or(least, |(_, logit)| *logit);
        }
    }
    cut(into, most);
}

fn cut(candidates: &mut Vec<Candidate>, most: usize) {
    candidates.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    candidates.truncate(most);
}

/// The natural logarithm of the sum of all logits' exponentials: a logit less it is the token's
/// log-probability.
pub(super) fn log_sum_exp(logits: &[f32]) -> f32 {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    largest + logits.iter().map(|logit| (logit - largest).exp()).sum::<f32>().ln()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_not_a_number_is_no_candidate() {
        let mut found = Vec::new();
        likeliest(&[f32::NAN, 1.0, f32::NEG_INFINITY, 2.0, f32::NAN], 10, &mut found);
        assert_eq!(found, [(3, 2.0), (1, 1.0)]);
        likeliest(&[f32::NAN; 40], 3, &mut found);
        assert!(found.is_empty());
    }

    #[test]
    fn probabilities_sum_to_one() {
        let logits = [0.5, -3.0, 12.0, 11.5];
        let sum = log_sum_exp(&logits);
        let total: f32 = logits.iter().map(|logit| (logit - sum).exp()).sum();
        assert!((total - 1.0).abs() < 1e-5, "{total}");
    }

    proptest! {
        #[test]
        fn they_are_those_that_sorting_finds(logits in proptest::collection::vec(-9i8..9, 0..600), most in 0usize..50) {
            let logits: Vec<f32> = logits.into_iter().map(f32::from).collect();
            let mut sorted: Vec<Candidate> = (0..).zip(logits.iter().copied()).collect();
            sorted.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            sorted.truncate(most);
            let mut found = Vec::new();
            likeliest(&logits, most, &mut found);
            prop_assert_eq!(found, sorted);
        }
    }
}
