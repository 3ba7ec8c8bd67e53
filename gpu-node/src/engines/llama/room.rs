//! How much of the prompts a step takes, and of which.
//!
//! Whoever decodes waits for it. llama.cpp computes the single tokens of those apart from pieces of prompts, so
//! a step with both saves nothing: what counts is how often the few that decode already are computed while the
//! others aren't there yet, since few together cost nearly as much as many.

use std::time::Duration;

use super::load::BATCH;

/// How long a step may take where it computes a prompt beside decoding slots.
const BESIDE: Duration = Duration::from_millis(500);
/// Prompt tokens that it takes then at most.
const MOST_BESIDE: usize = 128;
/// How long it may take where many prompts came together: then it is worth more that all of them get on. A
/// cancel waits for it too.
const CROWDED: Duration = Duration::from_secs(1);
/// Two prompts are a crowd, and more of them, as long as one slot in so many has one; one alone only if nobody
/// decodes.
const ONE_IN: usize = 9;
/// Prompt tokens that a step takes at least, however slow the model is.
pub(super) const LEAST: usize = 16;
/// Prompt tokens of a step before its pace is known.
const FIRST: usize = 64;

/// What a step may take of prompts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Room {
    tokens: usize,
    crowded: bool,
}

impl Room {
    /// For a step with so many slots that prefill and that decode, at `pace` tokens a second, as far as it is
    /// known. Together with the decoding slots' tokens it is no more than a batch.
    pub(super) fn of(prefilling: usize, decoding: usize, pace: Option<f64>) -> Self {
        let crowded = prefilling > decoding || prefilling > 1 && prefilling * ONE_IN >= prefilling + decoding;
        let (most, limit) = match crowded {
            true => (BATCH as usize - decoding, CROWDED),
            false => (MOST_BESIDE, BESIDE),
        };
        let within = pace.map_or(FIRST, |pace| (pace * limit.as_secs_f64()) as usize);
        Self { tokens: within.saturating_sub(decoding).clamp(LEAST, most), crowded }
    }

    /// Half of it; none if it is too little for that.
    pub(super) fn half(self) -> Option<Self> {
        (self.tokens > 1).then_some(Self { tokens: self.tokens / 2, ..self })
    }

    /// How many tokens each prompt gets of those that it still `needs`, oldest first.
    ///
    /// In a crowd the oldest gets what there is, and the others only if they fit as a whole: what is cut is
    /// computed in two pieces, and begins to decode no earlier.
    pub(super) fn share(self, needs: impl IntoIterator<Item = usize>) -> impl Iterator<Item = usize> {
        let (mut left, mut oldest) = (self.tokens, true);
        needs.into_iter().map(move |need| {
            let cut = oldest || !self.crowded;
            let tokens = if need <= left || cut { need.min(left) } else { 0 };
            oldest &= tokens == 0;
            left -= tokens;
            tokens
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_step_takes_what_fits_its_time() {
        let cases = [
            // Prefilling, decoding, pace; tokens, crowded.
            ((1, 0, None), (64, true)),
            ((1, 0, Some(160.0)), (160, true)),
            ((1, 0, Some(1e5)), (512, true)),
            ((1, 0, Some(1.0)), (16, true)),
            // One prompt beside others leaves them half a second.
            ((1, 1, Some(160.0)), (79, false)),
            ((1, 1, Some(1e5)), (128, false)),
            ((1, 8, Some(160.0)), (72, false)),
            // Several that came together leave them one, while they are more than a few.
            ((8, 0, Some(160.0)), (160, true)),
            ((4, 4, Some(160.0)), (156, true)),
            ((2, 16, Some(160.0)), (144, true)),
            ((2, 17, Some(160.0)), (63, false)),
            ((4, 28, Some(160.0)), (132, true)),
            ((200, 56, Some(1e5)), (456, true)),
        ];
        for ((prefilling, decoding, pace), (tokens, crowded)) in cases {
            let room = Room::of(prefilling, decoding, pace);
            assert_eq!(room, Room { tokens, crowded }, "{prefilling} beside {decoding} at {pace:?}");
        }
    }

    #[test]
    fn in_a_crowd_prompts_are_taken_whole() {
        let cases: [(usize, bool, &[usize], &[usize]); 7] = [
            (160, true, &[40; 5], &[40, 40, 40, 40, 0]),
            (160, false, &[50; 4], &[50, 50, 50, 10]),
            (160, true, &[50; 4], &[50, 50, 50, 0]),
            // The oldest is cut where it must be, one that waits for another's tokens needs none.
            (160, true, &[300, 20, 40], &[160, 0, 0]),
            (160, true, &[0, 300, 20], &[0, 160, 0]),
            // What is left goes to whom it is enough for.
            (160, true, &[100, 90, 60], &[100, 0, 60]),
            (160, true, &[], &[]),
        ];
        for (tokens, crowded, needs, shares) in cases {
            let room = Room { tokens, crowded };
            let shared: Vec<usize> = room.share(needs.iter().copied()).collect();
            assert_eq!(shared, shares, "{needs:?} in {room:?}");
        }
    }

    proptest! {
        #[test]
        fn a_step_gets_on_and_is_no_more_than_a_batch(
            needs in proptest::collection::vec(0usize..700, 0..40),
            decoding in 0usize..200,
            pace in proptest::option::of(0.0..1e6),
            halves in 0usize..4,
        ) {
            let mut room = Room::of(needs.len(), decoding, pace);
            for _ in 0..halves {
                room = room.half().unwrap_or(room);
            }
            let shares: Vec<usize> = room.share(needs.iter().copied()).collect();
            prop_assert!(shares.iter().sum::<usize>() + decoding <= BATCH as usize);
            prop_assert!(shares.iter().zip(&needs).all(|(share, need)| share <= need));
            // Whoever is oldest gets something.
            let oldest = needs.iter().position(|need| *need > 0);
            prop_assert!(oldest.is_none_or(|oldest| shares[oldest] > 0));
        }
    }
}
