//! The most probable tokens of a row of logits.
//!
//! A vocabulary has up to a quarter of a million tokens, and sampling uses some forty. One pass over the row finds
//! them, and all further steps work on those.

/// A token's index and its logit.
pub(super) type TokenCandidate = (u32, f32);

/// Logits compared at once: each one is looked at only if the largest of the chunk is large enough.
const CHUNK: usize = 16;

/// Writes the `k` most probable tokens to `into`, most probable first; of equals the first. NaN and minus infinity
/// are no candidates.
pub(super) fn top_k(logits: &[f32], k: usize, into: &mut Vec<TokenCandidate>) {
    into.clear();
    let k = k.min(logits.len());
    if k == 0 {
        return;
    }
    // Truncating costs a sort, so it is done only when half of the candidates can be dropped.
    let full = k.saturating_mul(2).max(64);
    let mut threshold = f32::NEG_INFINITY;
    for (chunk, first) in logits.chunks(CHUNK).zip((0u32..).step_by(CHUNK)) {
        if chunk.iter().fold(f32::NEG_INFINITY, |max, logit| max.max(*logit)) <= threshold {
            continue;
        }
        into.extend((first..).zip(chunk.iter().copied()).filter(|(_, logit)| *logit > threshold));
        if into.len() >= full {
            truncate(into, k);
            threshold = into.last().map_or(threshold, |(_, logit)| *logit);
        }
    }
    truncate(into, k);
}

fn truncate(candidates: &mut Vec<TokenCandidate>, k: usize) {
    candidates.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    candidates.truncate(k);
}

/// The natural logarithm of the sum of all logits' exponentials. A logit minus this sum is the token's log-probability.
pub(super) fn log_sum_exp(logits: &[f32]) -> f32 {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    largest + logits.iter().map(|logit| (logit - largest).exp()).sum::<f32>().ln()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nan_and_minus_infinity_are_no_candidates() {
        let mut candidates = Vec::new();
        top_k(&[f32::NAN, 1.0, f32::NEG_INFINITY, 2.0, f32::NAN], 10, &mut candidates);
        assert_eq!(candidates, [(3, 2.0), (1, 1.0)]);
        top_k(&[f32::NAN; 40], 3, &mut candidates);
        assert!(candidates.is_empty());
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
        fn top_k_equals_sorting(logits in proptest::collection::vec(-9i8..9, 0..600), k in 0usize..50) {
            let logits: Vec<f32> = logits.into_iter().map(f32::from).collect();
            let mut sorted: Vec<TokenCandidate> = (0..).zip(logits.iter().copied()).collect();
            sorted.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            sorted.truncate(k);
            let mut candidates = Vec::new();
            top_k(&logits, k, &mut candidates);
            prop_assert_eq!(candidates, sorted);
        }
    }
}
