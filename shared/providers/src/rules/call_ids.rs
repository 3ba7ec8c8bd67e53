//! Replaces calls' ids that a vendor refuses.
//!
//! An id may be another vendor's, or two calls of a conversation may have the same one. The call and its result then get a
//! new id, which is derived from the old one: the same conversation is always sent the same way, as a prompt cache needs.

use std::collections::{HashMap, HashSet, VecDeque};

use hearth_domain::{Message, Role};

use super::{
    draft::Draft,
    rule::{CallIds, IdLength, Rules},
};

impl CallIds {
    fn accepts(self, id: &str) -> bool {
        let length = match self.length {
            IdLength::Exactly(length) => id.len() == length,
            IdLength::AtMost(max) => (1..=max).contains(&id.len()),
        };
        length && id.chars().all(|c| self.accepts_char(c))
    }

    fn accepts_char(self, c: char) -> bool {
        c.is_ascii_alphanumeric() || self.marks && matches!(c, '_' | '-')
    }

    /// Returns an id in this form for `id`. `attempt` distinguishes ids that are derived from the same.
    fn replacement(self, id: &str, attempt: u32) -> String {
        let clean: String = id.chars().map(|c| if self.accepts_char(c) { c } else { '_' }).collect();
        if attempt == 0 && self.accepts(&clean) {
            return clean;
        }
        let suffix = format!("_{attempt}");
        match self.length {
            IdLength::AtMost(max) if attempt > 0 && self.marks && clean.len() + suffix.len() <= max => {
                clean + &suffix
            }
            IdLength::AtMost(max) => digest(&format!("{id} {attempt}"), max.min(24)),
            IdLength::Exactly(length) => digest(&format!("{id} {attempt}"), length),
        }
    }
}

/// Returns a hash of a text as `length` letters and digits (FNV-1a, <https://www.rfc-editor.org/rfc/rfc9923>).
pub(super) fn digest(text: &str, length: usize) -> String {
    const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0100_0000_0000_0000_0000_013b;
    let mut hash = text.bytes().fold(OFFSET, |hash, byte| (hash ^ u128::from(byte)).wrapping_mul(PRIME));
    let mut digits = String::with_capacity(length);
    for place in 0..length {
        // 128 bits are 21 characters.
        if place > 0 && place % 21 == 0 {
            hash =
                text.bytes().rev().fold(OFFSET, |hash, byte| (hash ^ u128::from(byte)).wrapping_mul(PRIME));
        }
        let digit = usize::try_from(hash % 62).unwrap_or_default();
        digits.push(char::from(ALPHABET[digit]));
        hash /= 62;
    }
    digits
}

pub(super) fn apply(rules: &Rules, draft: &mut Draft<'_>) {
    let Some(rule) = rules.call_ids else { return };
    if !are_accepted(rule.value, &draft.task().messages) {
        rewrite(rule.value, &mut draft.edit().messages);
    }
}

fn are_accepted(form: CallIds, messages: &[Message]) -> bool {
    let mut seen = HashSet::new();
    let mut calls = messages.iter().flat_map(|message| &message.tool_calls);
    calls.all(|call| form.accepts(&call.id) && (seen.insert(&call.id) || !form.unique))
}

fn rewrite(form: CallIds, messages: &mut [Message]) {
    // Derived ids must differ from the ids that stay unchanged.
    let own: HashSet<String> = messages
        .iter()
        .flat_map(|message| &message.tool_calls)
        .map(|call| call.id.clone())
        .filter(|id| form.accepts(id))
        .collect();
    let mut taken: HashSet<String> = HashSet::new();
    // The new ids of calls without a result, by their old id.
    let mut open: HashMap<String, VecDeque<String>> = HashMap::new();
    for message in messages {
        let mut fresh: HashSet<String> = HashSet::new();
        for call in &mut message.tool_calls {
            let keeps = form.accepts(&call.id) && !(form.unique && taken.contains(&call.id));
            let id = if keeps { call.id.clone() } else { new_id(form, &call.id, &own, &taken) };
            taken.insert(id.clone());
            let old = std::mem::replace(&mut call.id, id.clone());
            // Later results belong to the call of the later turn.
            let waiting = open.entry(old.clone()).or_default();
            if fresh.insert(old) {
                waiting.clear();
            }
            waiting.push_back(id);
        }
        if message.role == Role::Tool
            && let Some(id) = &mut message.tool_call_id
            && let Some(waiting) = open.get_mut(id)
        {
            // All further results belong to the last call.
            let new = if waiting.len() > 1 { waiting.pop_front() } else { waiting.front().cloned() };
            *id = new.unwrap_or_else(|| id.clone());
        }
    }
}

fn new_id(form: CallIds, old: &str, own: &HashSet<String>, taken: &HashSet<String>) -> String {
    let free = |id: &String| form.accepts(id) && !own.contains(id) && !taken.contains(id);
    let candidates = (0..).map(|attempt| form.replacement(old, attempt));
    candidates.take(10_000).find(free).unwrap_or_else(|| digest(old, 9))
}
