//! The KV cache: the context with its sequences, and states of sequences that are saved beside it. [`PrefixIndex`]
//! decides which tokens stay; this module carries it out.

use std::{collections::HashMap, io, path::Path};

use llama_cpp_2::{
    DecodeError, LlamaStateSeqFlags, SeqState, context::LlamaContext, llama_batch::LlamaBatch,
    token::LlamaToken,
};

use super::{
    prefix_files::{PrefixFiles, SavedPrefixes},
    prefix_index::{CacheOp, PrefixIndex, PrefixLocation, SavedId},
    vocabulary::Token,
};

const SAVED_STATE_MISSING: &str = "a saved state is missing";

/// A context, the index of its tokens, and the saved states.
pub(super) struct KvCache<'a> {
    context: LlamaContext<'a>,
    prefixes: PrefixIndex,
    saved: HashMap<SavedId, SeqState>,
    /// Saved states that were dropped for room since the last [`take_evicted`](Self::take_evicted).
    evicted: u64,
}

/// A sequence that belongs to a run.
pub(super) struct LeasedSequence {
    pub(super) sequence: usize,
    /// Tokens of the run's prompt that are in the context already.
    pub(super) cached_tokens: usize,
}

impl<'a> KvCache<'a> {
    pub(super) fn new(context: LlamaContext<'a>, prefixes: PrefixIndex) -> Self {
        Self { context, prefixes, saved: HashMap::new(), evicted: 0 }
    }

    /// Leases a sequence for a run with this prompt. `None` if every sequence belongs to a run.
    pub(super) fn lease(&mut self, prompt: &[Token]) -> Option<LeasedSequence> {
        let lease = self.prefixes.lease(prompt)?;
        let applied = self.apply_all(lease.sequence, &lease.operations);
        Some(LeasedSequence {
            sequence: lease.sequence,
            cached_tokens: if applied { lease.cached_tokens } else { 0 },
        })
    }

    /// Copies tokens that another sequence has computed of this prompt meanwhile. Returns the number of tokens that the
    /// sequence has then; `None` if it stays as it is.
    pub(super) fn catch_up(&mut self, sequence: usize, prompt: &[Token]) -> Option<usize> {
        let (tokens, operations) = self.prefixes.catch_up(sequence, prompt)?;
        Some(if self.apply_all(sequence, &operations) { tokens } else { 0 })
    }

    /// Computes a batch.
    pub(super) fn decode(&mut self, batch: &mut LlamaBatch<'_>) -> Result<(), DecodeError> {
        self.context.decode(batch)
    }

    /// Logits after the batch's token with this index, which must have requested them.
    pub(super) fn logits(&self, index: i32) -> &[f32] {
        self.context.get_logits_ith(index)
    }

    /// Records that `tokens` were computed at the sequence's end.
    pub(super) fn extend(&mut self, sequence: usize, tokens: &[Token]) {
        self.prefixes.extend(sequence, tokens);
    }

    /// Ends the lease of a sequence. Its tokens stay.
    pub(super) fn release(&mut self, sequence: usize) {
        self.prefixes.release(sequence);
    }

    /// Clears the context: after a failed decode its tokens can't be trusted.
    pub(super) fn clear(&mut self, sequences: usize) {
        (0..sequences).for_each(|sequence| self.prefixes.clear(sequence));
        self.context.clear_kv_cache();
    }

    /// Number of cached tokens that belong to no run.
    pub(super) fn idle_tokens(&self) -> u64 {
        self.prefixes.idle_tokens() as u64
    }

    /// Size of the saved states, in bytes.
    pub(super) fn saved_bytes(&self) -> u64 {
        self.prefixes.saved_bytes()
    }

    /// Number of saved states that were dropped for room since the last call.
    pub(super) fn take_evicted(&mut self) -> u64 {
        std::mem::take(&mut self.evicted)
    }

    /// Saves the cached tokens to disk. The context can't be used after that.
    pub(super) fn save_prefixes(&mut self, files: &PrefixFiles) {
        let (entries, max_bytes) = (self.prefixes.entries(), self.prefixes.saved_max_bytes());
        // llama.cpp writes sequences only. Saved states are written from the first sequence, so its own tokens are set
        // aside.
        let first = match entries.iter().any(|(location, _)| matches!(location, PrefixLocation::Saved(_))) {
            true => self.state(0).map(Some),
            false => Ok(None),
        };
        let written = first.map_err(io::Error::other).and_then(|first| {
            files.save(entries, max_bytes, |(location, tokens), path| {
                let sequence = match (location, &first) {
                    (PrefixLocation::Sequence(0), Some(state)) => self.set_first(state)?,
                    (PrefixLocation::Sequence(sequence), _) => sequence,
                    (PrefixLocation::Saved(id), _) => {
                        let state = self.saved.remove(&id).ok_or(SAVED_STATE_MISSING)?;
                        self.set_first(&state)?
                    }
                };
                let tokens: Vec<LlamaToken> = tokens.into_iter().map(LlamaToken).collect();
                let bytes = self.context.state_seq_save_file(path, seq_id(sequence), &tokens);
                bytes.map(|bytes| bytes as u64).map_err(|error| error.to_string())
            })
        });
        match written {
            Ok(0) => {}
            Ok(prefixes) => tracing::info!(prefixes, "the prefix cache was saved to disk"),
            Err(error) => tracing::warn!(%error, "the prefix cache can't be saved to disk"),
        }
    }

    /// Replaces the first sequence's tokens. Returns that sequence.
    fn set_first(&mut self, state: &SeqState) -> Result<usize, String> {
        self.truncate(0, 0)?;
        self.restore(state, 0)?;
        Ok(0)
    }

    /// Loads the tokens that an earlier worker has saved, at most `max_tokens` of each file. The cache must be empty.
    pub(super) fn load_prefixes(&mut self, saved: &SavedPrefixes, max_tokens: usize) {
        for path in &saved.files {
            if let Err(error) = self.load_prefix(path, max_tokens) {
                tracing::warn!(error, "a prefix on disk can't be read, and is skipped");
            }
            if let Err(error) = self.truncate(0, 0) {
                tracing::error!(error, "the first sequence can't be cleared");
                return;
            }
        }
    }

    fn load_prefix(&mut self, path: &Path, max_tokens: usize) -> Result<(), String> {
        let (tokens, _) = self
            .context
            .state_seq_load_file(path, seq_id(0), max_tokens)
            .map_err(|error| error.to_string())?;
        let state = self.state(0)?;
        let tokens = tokens.into_iter().map(|token| token.0).collect();
        let (id, dropped) = self.prefixes.add_saved(tokens, state.byte_len() as u64);
        self.saved.insert(id, state);
        dropped.iter().for_each(|id| drop(self.saved.remove(id)));
        Ok(())
    }

    /// Applies the operations to the context. Returns false if one fails; then `sequence` is empty.
    fn apply_all(&mut self, sequence: usize, operations: &[CacheOp]) -> bool {
        let mut result = Ok(());
        for operation in operations {
            if result.is_ok() || matches!(operation, CacheOp::Drop { .. }) {
                result = result.and(self.apply(*operation));
            }
        }
        let Err(error) = result else { return true };
        tracing::error!(error, sequence, "cached tokens can't be used again");
        self.prefixes.clear(sequence);
        if let Err(error) = self.truncate(sequence, 0) {
            tracing::error!(error, sequence, "a sequence can't be cleared");
        }
        false
    }

    fn apply(&mut self, operation: CacheOp) -> Result<(), String> {
        match operation {
            CacheOp::Truncate { sequence, keep } => self.truncate(sequence, keep),
            CacheOp::Copy { from, to } => {
                let state = self.state(from)?;
                self.restore(&state, to)
            }
            CacheOp::Save { sequence, id } => {
                let state = self.state(sequence);
                let bytes = state.as_ref().ok().map(|state| state.byte_len() as u64);
                let dropped = self.prefixes.set_saved_size(id, bytes);
                self.evicted += dropped.len() as u64;
                self.saved.extend(state.ok().map(|state| (id, state)));
                dropped.iter().for_each(|id| drop(self.saved.remove(id)));
                Ok(())
            }
            CacheOp::Restore { id, to } => {
                let state = self.saved.remove(&id).ok_or(SAVED_STATE_MISSING)?;
                let restored = self.restore(&state, to);
                self.saved.insert(id, state);
                restored
            }
            CacheOp::Drop { id } => {
                self.saved.remove(&id);
                Ok(())
            }
        }
    }

    fn state(&self, sequence: usize) -> Result<SeqState, String> {
        let state = self.context.state_seq_get(seq_id(sequence), LlamaStateSeqFlags::empty());
        state.map_err(|error| error.to_string())
    }

    fn restore(&mut self, state: &SeqState, sequence: usize) -> Result<(), String> {
        self.context.state_seq_set(state, seq_id(sequence)).map_err(|error| error.to_string())
    }

    fn truncate(&mut self, sequence: usize, keep: usize) -> Result<(), String> {
        let from = u32::try_from(keep).ok().filter(|keep| *keep > 0);
        let truncated = self.context.kv_cache_seq_rm(seq_id(sequence), from, None);
        truncated.map_err(|error| error.to_string())
    }
}

/// llama.cpp's number of a sequence. There are at most 256.
pub(super) fn seq_id(sequence: usize) -> i32 {
    i32::try_from(sequence).unwrap_or(i32::MAX)
}
