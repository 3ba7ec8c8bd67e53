//! Chooses the location whose tokens a new prompt uses, and the free sequence to fill.

use super::{COPIED_PER_USED_TOKEN, KEEP_MIN_TOKENS, PrefixIndex, PrefixLocation, Sequence};
use crate::engines::llama::vocabulary::{Token, common_prefix};

impl PrefixIndex {
    /// The location with the longest common prefix with `prompt`, and the prefix' length, less than the prompt's. Among
    /// equals a free sequence comes first, since it need not be copied, and a saved state last.
    pub(super) fn best_match(
        &self,
        prompt: &[Token],
        except: Option<usize>,
    ) -> Option<(PrefixLocation, usize)> {
        let limit = prompt.len().saturating_sub(1);
        let common = |tokens: &[Token]| common_prefix(tokens, prompt).min(limit);
        let sequences = self.sequences.iter().enumerate().filter_map(|(index, sequence)| {
            let common = common(&sequence.tokens);
            let usable = if self.truncatable { common > 0 } else { common == sequence.tokens.len() };
            let free = !sequence.leased;
            let taken_over = free && self.can_take_over(index, common);
            let usable = usable && common > 0 && Some(index) != except && (free || self.truncatable);
            (usable && (taken_over || self.is_worth_copying(sequence.tokens.len(), common)))
                .then_some(((common, u8::from(free) + 1), PrefixLocation::Sequence(index)))
        });
        let saved = self.saved.iter().filter_map(|saved| {
            let common = common(&saved.tokens);
            let usable = self.truncatable || common == saved.tokens.len();
            (usable && self.is_worth_copying(saved.tokens.len(), common))
                .then_some(((common, 0), PrefixLocation::Saved(saved.id)))
        });
        let best = sequences.chain(saved).max_by_key(|(rank, _)| *rank)?;
        Some((best.1, best.0.0))
    }

    /// Returns whether a run may take over the sequence: it is free, and loses few tokens if only `used` stay.
    pub(super) fn can_take_over(&self, sequence: usize, used: usize) -> bool {
        let sequence = &self.sequences[sequence];
        !sequence.leased && self.loses_few_tokens(sequence.tokens.len(), used)
    }

    pub(super) fn loses_few_tokens(&self, tokens: usize, used: usize) -> bool {
        tokens - used < KEEP_MIN_TOKENS || !self.truncatable
    }

    /// Returns whether using `used` tokens is worth copying all `tokens` of a location.
    fn is_worth_copying(&self, tokens: usize, used: usize) -> bool {
        !self.truncatable || (used >= KEEP_MIN_TOKENS && used * COPIED_PER_USED_TOKEN >= tokens)
    }

    /// The first empty sequence, since llama.cpp computes neighbouring sequences together; otherwise the free one that
    /// was used longest ago.
    pub(super) fn coldest_free(&self, except: Option<usize>) -> Option<usize> {
        let free = self.sequences.iter().enumerate().filter(|(i, s)| !s.leased && Some(*i) != except);
        let last_used = |s: &Sequence| if s.tokens.is_empty() { 0 } else { s.last_used };
        free.min_by_key(|(_, s)| last_used(s)).map(|(index, _)| index)
    }
}
