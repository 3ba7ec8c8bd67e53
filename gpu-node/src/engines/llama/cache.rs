//! The context, and what it keeps of prompts and answers: does what [`Prefixes`] decides.

use std::{collections::HashMap, io, path::Path};

use llama_cpp_2::{
    DecodeError, LlamaStateSeqFlags, SeqState, context::LlamaContext, llama_batch::LlamaBatch,
    token::LlamaToken,
};

use super::{
    prefix_files::{PrefixFiles, Taken},
    prefixes::{Change, Place, Prefixes, SavedId, Token},
};

/// A context with its sequences' tokens, and those that are saved beside it.
pub(super) struct Cache<'a> {
    context: LlamaContext<'a>,
    prefixes: Prefixes,
    saved: HashMap<SavedId, SeqState>,
    evicted: u64,
}

/// A sequence that a run got.
pub(super) struct Leased {
    pub(super) sequence: usize,
    /// Tokens of its prompt that need not be computed.
    pub(super) reused: usize,
}

impl<'a> Cache<'a> {
    pub(super) fn new(context: LlamaContext<'a>, prefixes: Prefixes) -> Self {
        Self { context, prefixes, saved: HashMap::new(), evicted: 0 }
    }

    /// A sequence for a run with this prompt; `None` if every one belongs to a run.
    pub(super) fn lease(&mut self, prompt: &[Token]) -> Option<Leased> {
        let lease = self.prefixes.lease(prompt)?;
        let done = self.change(lease.sequence, &lease.changes);
        Some(Leased { sequence: lease.sequence, reused: if done { lease.reused } else { 0 } })
    }

    /// Copies what is there by now of the prompt that a sequence computes. Gives how many tokens the
    /// sequence has then; `None` if it stays as it was.
    pub(super) fn catch_up(&mut self, sequence: usize, prompt: &[Token]) -> Option<usize> {
        let (tokens, changes) = self.prefixes.catch_up(sequence, prompt)?;
        Some(if self.change(sequence, &changes) { tokens } else { 0 })
    }

    /// Computes a batch.
    pub(super) fn decode(&mut self, batch: &mut LlamaBatch<'_>) -> Result<(), DecodeError> {
        self.context.decode(batch)
    }

    /// The scores of the vocabulary after the batch's token at this place, which must have asked for them.
    pub(super) fn logits(&self, place: i32) -> &[f32] {
        self.context.get_logits_ith(place)
    }

    /// Notes that `tokens` were computed, at the sequence's end.
    pub(super) fn extend(&mut self, sequence: usize, tokens: &[Token]) {
        self.prefixes.extend(sequence, tokens);
    }

    /// A run is done with its sequence; its tokens stay.
    pub(super) fn release(&mut self, sequence: usize) {
        self.prefixes.release(sequence);
    }

    /// Forgets all tokens of the context: a failed decode leaves nothing that can be trusted.
    pub(super) fn clear(&mut self, sequences: usize) {
        (0..sequences).for_each(|sequence| self.prefixes.forget(sequence));
        self.context.clear_kv_cache();
    }

    /// Tokens that are kept for nobody in particular.
    pub(super) fn idle_tokens(&self) -> u64 {
        self.prefixes.idle_tokens() as u64
    }

    /// What is saved beside the context, in bytes.
    pub(super) fn saved_bytes(&self) -> u64 {
        self.prefixes.saved_bytes()
    }

    /// How many beginnings of prompts were given up for room since this was last asked.
    pub(super) fn take_evicted(&mut self) -> u64 {
        std::mem::take(&mut self.evicted)
    }

    /// Writes what is kept. The context is of no use any more then.
    pub(super) fn write(&mut self, files: &PrefixFiles) {
        let (kept, most) = (self.prefixes.kept(), self.prefixes.most_bytes());
        // llama.cpp writes sequences only. What is saved beside the context goes through the first one, whose own
        // tokens are put aside for that.
        let first = match kept.iter().any(|(place, _)| matches!(place, Place::Saved(_))) {
            true => self.state(0).map(Some),
            false => Ok(None),
        };
        let written = first.map_err(io::Error::other).and_then(|first| {
            files.save(kept, most, |(place, tokens), path| {
                let sequence = match (place, &first) {
                    (Place::Sequence(0), Some(state)) => self.put_first(state)?,
                    (Place::Sequence(sequence), _) => sequence,
                    (Place::Saved(id), _) => {
                        let state = self.saved.remove(&id).ok_or("what was saved is gone")?;
                        self.put_first(&state)?
                    }
                };
                let tokens: Vec<LlamaToken> = tokens.into_iter().map(LlamaToken).collect();
                let bytes = self.context.state_seq_save_file(path, seq_id(sequence), &tokens);
                bytes.map(|bytes| bytes as u64).map_err(|error| error.to_string())
            })
        });
        match written {
            Ok(0) => {}
            Ok(prefixes) => tracing::info!(prefixes, "prompts and answers were kept on disk"),
            Err(error) => tracing::warn!(%error, "prompts and answers can't be kept on disk"),
        }
    }

    /// Gives the first sequence these tokens in place of its own.
    fn put_first(&mut self, state: &SeqState) -> Result<usize, String> {
        self.truncate(0, 0)?;
        self.restore(state, 0)?;
        Ok(0)
    }

    /// Reads what an earlier worker has written, of at most so many tokens each. Nothing else is kept yet.
    pub(super) fn read(&mut self, taken: &Taken, most_tokens: usize) {
        for path in &taken.files {
            if let Err(error) = self.read_one(path, most_tokens) {
                tracing::warn!(error, "kept tokens on disk can't be read, and are left out");
            }
            if let Err(error) = self.truncate(0, 0) {
                tracing::error!(error, "the first sequence can't be emptied");
                return;
            }
        }
    }

    fn read_one(&mut self, path: &Path, most_tokens: usize) -> Result<(), String> {
        let (tokens, _) = self
            .context
            .state_seq_load_file(path, seq_id(0), most_tokens)
            .map_err(|error| error.to_string())?;
        let state = self.state(0)?;
        let tokens = tokens.into_iter().map(|token| token.0).collect();
        let (id, dropped) = self.prefixes.adopt(tokens, state.byte_len() as u64);
        self.saved.insert(id, state);
        dropped.iter().for_each(|id| drop(self.saved.remove(id)));
        Ok(())
    }

    /// Changes the context. False if `sequence` could not be given what it was to have: it is empty then.
    fn change(&mut self, sequence: usize, changes: &[Change]) -> bool {
        let mut done = Ok(());
        for change in changes {
            if done.is_ok() || matches!(change, Change::Drop { .. }) {
                done = done.and(self.apply(*change));
            }
        }
        let Err(error) = done else { return true };
        tracing::error!(error, sequence, "kept tokens can't be used again");
        self.prefixes.forget(sequence);
        if let Err(error) = self.truncate(sequence, 0) {
            tracing::error!(error, sequence, "a sequence can't be emptied");
        }
        false
    }

    fn apply(&mut self, change: Change) -> Result<(), String> {
        match change {
            Change::Truncate { sequence, keep } => self.truncate(sequence, keep),
            Change::Copy { from, to } => {
                let state = self.state(from)?;
                self.restore(&state, to)
            }
            Change::Save { sequence, id } => {
                let state = self.state(sequence);
                let bytes = state.as_ref().ok().map(|state| state.byte_len() as u64);
                let dropped = self.prefixes.saved(id, bytes);
                self.evicted += dropped.len() as u64;
                self.saved.extend(state.ok().map(|state| (id, state)));
                dropped.iter().for_each(|id| drop(self.saved.remove(id)));
                Ok(())
            }
            Change::Restore { id, to } => {
                let state = self.saved.remove(&id).ok_or("what was saved is gone")?;
                let restored = self.restore(&state, to);
                self.saved.insert(id, state);
                restored
            }
            Change::Drop { id } => {
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
        let cut = self.context.kv_cache_seq_rm(seq_id(sequence), from, None);
        cut.map_err(|error| error.to_string())
    }
}

/// As llama.cpp numbers sequences. There are at most 256.
pub(super) fn seq_id(sequence: usize) -> i32 {
    i32::try_from(sequence).unwrap_or(i32::MAX)
}
