//! Prefix cache bookkeeping: which tokens' keys and values exist, and where.
//!
//! Each slot has a sequence of the context, whose tokens stay when its run ends. For a new prompt the index looks for
//! the cached tokens with the longest common prefix. If that is a free sequence that loses few tokens by it, the run
//! takes it over. Otherwise the tokens are copied into another free sequence, whose own tokens are saved to main memory
//! first. So the next turn of a conversation computes only its new tokens, however many other conversations came
//! between, and runs with the same instructions compute those once.
//!
//! The index never touches the context: it returns the operations on it as [`CacheOp`]s.

mod lookup;

use super::vocabulary::{Token, common_prefix};

/// Id of a saved state.
pub(super) type SavedId = u64;

/// An operation on the context. Operations are applied in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CacheOp {
    /// Remove a sequence's tokens from index `keep` on.
    Truncate { sequence: usize, keep: usize },
    /// Copy all tokens of a sequence into an empty one.
    Copy { from: usize, to: usize },
    /// Save a sequence's tokens under a new id, then call [`PrefixIndex::set_saved_size`].
    Save { sequence: usize, id: SavedId },
    /// Copy saved tokens into an empty sequence.
    Restore { id: SavedId, to: usize },
    /// Delete a saved state.
    Drop { id: SavedId },
}

/// A sequence for a run.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Lease {
    pub(super) sequence: usize,
    /// Tokens of the prompt that need not be computed. Always fewer than the prompt has: the last token's logits are
    /// needed.
    pub(super) cached_tokens: usize,
    pub(super) operations: Vec<CacheOp>,
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
    /// 0 until [`PrefixIndex::set_saved_size`].
    bytes: u64,
    last_used: u64,
}

/// Location of cached tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PrefixLocation {
    Sequence(usize),
    Saved(SavedId),
}

/// The tokens of the context's sequences and of the saved states.
#[derive(Debug)]
pub(super) struct PrefixIndex {
    sequences: Vec<Sequence>,
    saved: Vec<Saved>,
    saved_max_bytes: u64,
    /// Bytes per token of the last saved state; 0 before the first.
    bytes_per_token: u64,
    /// True if a sequence can be truncated at any token. The state of a recurrent model can't be: it can only be used
    /// for a prompt that begins with all of its tokens.
    truncatable: bool,
    /// Counts uses, for the order of eviction.
    clock: u64,
}

/// Fewer tokens than these are computed again rather than copied or saved.
pub(super) const KEEP_MIN_TOKENS: usize = 16;
/// Tokens that a copy may move for each one that is used. A copy moves all tokens of a location, and copying a token
/// costs less than a hundredth of computing it.
const COPIED_PER_USED_TOKEN: usize = 16;

impl PrefixIndex {
    /// An index of empty sequences.
    pub(super) fn new(sequences: usize, saved_max_bytes: u64, truncatable: bool) -> Self {
        let sequences = std::iter::repeat_with(Sequence::default).take(sequences).collect();
        Self { sequences, saved: Vec::new(), saved_max_bytes, bytes_per_token: 0, truncatable, clock: 0 }
    }

    /// Leases a sequence for a run with this prompt. `None` if every sequence belongs to a run.
    pub(super) fn lease(&mut self, prompt: &[Token]) -> Option<Lease> {
        self.clock += 1;
        let mut operations = Vec::new();
        let sequence = match self.best_match(prompt, None) {
            Some((PrefixLocation::Sequence(source), used)) if self.can_take_over(source, used) => {
                self.truncate(source, used, &mut operations);
                source
            }
            best => self.fill_free_sequence(prompt, best, &mut operations)?,
        };
        let (leased, clock) = (&mut self.sequences[sequence], self.clock);
        leased.leased = true;
        leased.last_used = clock;
        Some(Lease { sequence, cached_tokens: leased.tokens.len(), operations })
    }

    /// Empties a free sequence, and copies the best match into it. Without a match it keeps the few tokens that it has
    /// in common with the prompt.
    fn fill_free_sequence(
        &mut self,
        prompt: &[Token],
        best: Option<(PrefixLocation, usize)>,
        operations: &mut Vec<CacheOp>,
    ) -> Option<usize> {
        let source = match best {
            Some((PrefixLocation::Sequence(source), _)) => Some(source),
            _ => None,
        };
        let free = self.coldest_free(source).or(source.filter(|s| !self.sequences[*s].leased))?;
        if let Some((PrefixLocation::Saved(id), _)) = best {
            // So that saving the free sequence's tokens doesn't evict the state that is about to be used.
            self.touch(id);
        }
        self.save(free, operations);
        match best {
            Some((PrefixLocation::Sequence(source), used)) if source == free => {
                self.truncate(free, used, operations);
            }
            Some((location, used)) => {
                self.truncate(free, 0, operations);
                self.copy_into(free, location, used, operations);
            }
            None => {
                let common = common_prefix(&self.sequences[free].tokens, prompt);
                let keep = if self.truncatable { common.min(prompt.len().saturating_sub(1)) } else { 0 };
                self.truncate(free, keep, operations);
            }
        }
        Some(free)
    }

    /// Copies the first `used` tokens of another location into an empty sequence. A saved state of hardly more tokens
    /// is dropped then.
    fn copy_into(&mut self, to: usize, location: PrefixLocation, used: usize, operations: &mut Vec<CacheOp>) {
        match location {
            PrefixLocation::Sequence(from) => {
                operations.push(CacheOp::Copy { from, to });
                self.sequences[to].tokens = self.sequences[from].tokens.clone();
            }
            PrefixLocation::Saved(id) => {
                let Some(index) = self.saved.iter().position(|saved| saved.id == id) else { return };
                operations.push(CacheOp::Restore { id, to });
                if self.loses_few_tokens(self.saved[index].tokens.len(), used) {
                    self.sequences[to].tokens = self.saved.remove(index).tokens;
                    operations.push(CacheOp::Drop { id });
                } else {
                    self.sequences[to].tokens = self.saved[index].tokens.clone();
                }
            }
        }
        self.truncate(to, used, operations);
    }

    /// Saves a free sequence's tokens, if they are enough and may fit.
    fn save(&mut self, sequence: usize, operations: &mut Vec<CacheOp>) {
        let Sequence { tokens, last_used, .. } = &self.sequences[sequence];
        let bytes = self.bytes_per_token.saturating_mul(tokens.len() as u64);
        if tokens.len() < KEEP_MIN_TOKENS || bytes > self.saved_max_bytes || self.saved_max_bytes == 0 {
            return;
        }
        let (tokens, last_used, id) = (tokens.clone(), *last_used, self.clock);
        operations.push(CacheOp::Save { sequence, id });
        self.saved.push(Saved { id, tokens, bytes: 0, last_used });
    }

    /// Records the size of a saved state; `None` if it could not be saved. Returns the states to drop, so that the
    /// others fit.
    pub(super) fn set_saved_size(&mut self, id: SavedId, bytes: Option<u64>) -> Vec<SavedId> {
        let Some(index) = self.saved.iter().position(|saved| saved.id == id) else { return vec![id] };
        let Some(bytes) = bytes else {
            self.saved.remove(index);
            return vec![id];
        };
        let saved = &mut self.saved[index];
        saved.bytes = bytes;
        self.bytes_per_token = bytes / (saved.tokens.len() as u64).max(1);
        let mut dropped = Vec::new();
        if self.truncatable {
            // A state that is a beginning of this one is redundant, unless it is about to be used.
            let (tokens, clock) = (saved.tokens.clone(), self.clock);
            self.drop_saved(&mut dropped, |other| {
                let is_beginning = other.id != id && tokens.starts_with(&other.tokens);
                let is_long = other.tokens.len() * COPIED_PER_USED_TOKEN >= tokens.len();
                is_beginning && other.last_used < clock && is_long
            });
        }
        while self.saved_bytes() > self.saved_max_bytes {
            let Some(coldest) = self.saved.iter().min_by_key(|s| s.last_used).map(|s| s.id) else { break };
            self.drop_saved(&mut dropped, |saved| saved.id == coldest);
        }
        dropped
    }

    /// All cached tokens that are worth keeping, with their locations, most recently used first.
    pub(super) fn entries(&self) -> Vec<(PrefixLocation, Vec<Token>)> {
        let sequences = self.sequences.iter().enumerate();
        let sequences = sequences.map(|(index, s)| (PrefixLocation::Sequence(index), &s.tokens, s.last_used));
        let saved = self.saved.iter().map(|s| (PrefixLocation::Saved(s.id), &s.tokens, s.last_used));
        let mut entries: Vec<_> =
            sequences.chain(saved).filter(|(_, tokens, _)| tokens.len() >= KEEP_MIN_TOKENS).collect();
        entries.sort_by_key(|(_, _, last_used)| std::cmp::Reverse(*last_used));
        entries.into_iter().map(|(location, tokens, _)| (location, tokens.clone())).collect()
    }

    /// Adds a saved state that an earlier process has written, as the most recently used one. Returns its id, and the
    /// states to drop, so that the others fit.
    pub(super) fn add_saved(&mut self, tokens: Vec<Token>, bytes: u64) -> (SavedId, Vec<SavedId>) {
        self.clock += 1;
        let id = self.clock;
        self.saved.push(Saved { id, tokens, bytes, last_used: id });
        (id, self.set_saved_size(id, Some(bytes)))
    }

    fn drop_saved(&mut self, dropped: &mut Vec<SavedId>, which: impl Fn(&Saved) -> bool) {
        dropped.extend(self.saved.extract_if(.., |saved| which(saved)).map(|saved| saved.id));
    }

    fn touch(&mut self, id: SavedId) {
        let clock = self.clock;
        self.saved.iter_mut().filter(|saved| saved.id == id).for_each(|saved| saved.last_used = clock);
    }

    /// Copies the tokens that another location has by now of the prompt that `sequence` computes, if they are enough
    /// more than `sequence` has. Returns how many tokens `sequence` has then, and the operations.
    pub(super) fn catch_up(&mut self, sequence: usize, prompt: &[Token]) -> Option<(usize, Vec<CacheOp>)> {
        if !self.truncatable {
            return None;
        }
        let own = self.sequences[sequence].tokens.len();
        let (location, used) = self.best_match(prompt, Some(sequence))?;
        if used < own + KEEP_MIN_TOKENS {
            return None;
        }
        let mut operations = Vec::new();
        self.truncate(sequence, 0, &mut operations);
        self.copy_into(sequence, location, used, &mut operations);
        Some((used, operations))
    }

    /// Records that `tokens` were computed at the sequence's end.
    pub(super) fn extend(&mut self, sequence: usize, tokens: &[Token]) {
        self.sequences[sequence].tokens.extend_from_slice(tokens);
    }

    /// Ends the lease of a sequence. Its tokens stay.
    pub(super) fn release(&mut self, sequence: usize) {
        self.clock += 1;
        self.sequences[sequence].leased = false;
        self.sequences[sequence].last_used = self.clock;
    }

    /// Records that a sequence's tokens are no longer in the context.
    pub(super) fn clear(&mut self, sequence: usize) {
        self.sequences[sequence].tokens.clear();
    }

    /// Number of cached tokens that belong to no run.
    pub(super) fn idle_tokens(&self) -> usize {
        let idle = self.sequences.iter().filter(|s| !s.leased).map(|s| s.tokens.len());
        idle.chain(self.saved.iter().map(|saved| saved.tokens.len())).sum()
    }

    /// Maximum size of all saved states, in bytes.
    pub(super) fn saved_max_bytes(&self) -> u64 {
        self.saved_max_bytes
    }

    /// Size of all saved states, in bytes.
    pub(super) fn saved_bytes(&self) -> u64 {
        self.saved.iter().map(|saved| saved.bytes).sum()
    }

    fn truncate(&mut self, sequence: usize, keep: usize, operations: &mut Vec<CacheOp>) {
        let tokens = &mut self.sequences[sequence].tokens;
        if tokens.len() > keep {
            tokens.truncate(keep);
            operations.push(CacheOp::Truncate { sequence, keep });
        }
    }
}

#[cfg(test)]
mod tests;
