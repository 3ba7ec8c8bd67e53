//! The ids of calls in a conversation, in the form that a vendor takes.
//!
//! An id may be of another vendor's making, or stand at two calls of a conversation. The call and its result then get
//! another id, made from the old one: the same conversation is sent the same way each time, as a prompt cache needs it.

use std::collections::{HashMap, HashSet, VecDeque};

use hearth_domain::{Message, Role};

use super::{Rules, draft::Draft};

/// The ids that a vendor takes. Letters and digits are always among the characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CallIds {
    /// How many characters.
    pub(crate) length: Length,
    /// Whether `_` and `-` may be among them.
    pub(crate) marks: bool,
    /// Whether two calls of a conversation must have two ids.
    pub(crate) unique: bool,
}

/// How long an id is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Length {
    Exactly(usize),
    AtMost(usize),
}

impl CallIds {
    fn takes(self, id: &str) -> bool {
        let length = match self.length {
            Length::Exactly(length) => id.len() == length,
            Length::AtMost(most) => (1..=most).contains(&id.len()),
        };
        length && id.chars().all(|c| self.has(c))
    }

    fn has(self, c: char) -> bool {
        c.is_ascii_alphanumeric() || self.marks && matches!(c, '_' | '-')
    }

    /// An id in this form, made from another. `attempt` sets apart those that are made from the same.
    fn made_from(self, id: &str, attempt: u32) -> String {
        let clean: String = id.chars().map(|c| if self.has(c) { c } else { '_' }).collect();
        if attempt == 0 && self.takes(&clean) {
            return clean;
        }
        let suffix = format!("_{attempt}");
        match self.length {
            Length::AtMost(most) if attempt > 0 && self.marks && clean.len() + suffix.len() <= most => {
                clean + &suffix
            }
            Length::AtMost(most) => digest(&format!("{id} {attempt}"), most.min(24)),
            Length::Exactly(length) => digest(&format!("{id} {attempt}"), length),
        }
    }
}

/// `length` letters and digits that stand for a text (FNV-1a, <https://www.rfc-editor.org/rfc/rfc9923>).
pub(super) fn digest(text: &str, length: usize) -> String {
    const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0100_0000_0000_0000_0000_013b;
    let mut hash = text.bytes().fold(OFFSET, |hash, byte| (hash ^ u128::from(byte)).wrapping_mul(PRIME));
    let mut made = String::with_capacity(length);
    for place in 0..length {
        // 128 bits are 21 characters.
        if place > 0 && place % 21 == 0 {
            hash =
                text.bytes().rev().fold(OFFSET, |hash, byte| (hash ^ u128::from(byte)).wrapping_mul(PRIME));
        }
        let digit = usize::try_from(hash % 62).unwrap_or_default();
        made.push(char::from(ALPHABET[digit]));
        hash /= 62;
    }
    made
}

pub(super) fn apply(rules: &Rules, draft: &mut Draft<'_>) {
    let Some(rule) = rules.call_ids else { return };
    if !keeps(rule.is, &draft.task().messages) {
        rewrite(rule.is, &mut draft.edit().messages);
    }
}

fn keeps(form: CallIds, messages: &[Message]) -> bool {
    let mut seen = HashSet::new();
    let mut calls = messages.iter().flat_map(|message| &message.tool_calls);
    calls.all(|call| form.takes(&call.id) && (seen.insert(&call.id) || !form.unique))
}

fn rewrite(form: CallIds, messages: &mut [Message]) {
    // Ids that stay as they are must not be made from others.
    let own: HashSet<String> = messages
        .iter()
        .flat_map(|message| &message.tool_calls)
        .map(|call| call.id.clone())
        .filter(|id| form.takes(id))
        .collect();
    let mut taken: HashSet<String> = HashSet::new();
    // Under each id, those of the calls that have no result yet.
    let mut open: HashMap<String, VecDeque<String>> = HashMap::new();
    for message in messages {
        let mut fresh: HashSet<String> = HashSet::new();
        for call in &mut message.tool_calls {
            let keeps = form.takes(&call.id) && !(form.unique && taken.contains(&call.id));
            let id = if keeps { call.id.clone() } else { new_id(form, &call.id, &own, &taken) };
            taken.insert(id.clone());
            let old = std::mem::replace(&mut call.id, id.clone());
            // A later turn's call has the results from there on.
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
            // The last one has every further result.
            let new = if waiting.len() > 1 { waiting.pop_front() } else { waiting.front().cloned() };
            *id = new.unwrap_or_else(|| id.clone());
        }
    }
}

fn new_id(form: CallIds, old: &str, own: &HashSet<String>, taken: &HashSet<String>) -> String {
    let free = |id: &String| form.takes(id) && !own.contains(id) && !taken.contains(id);
    let made = (0..).map(|attempt| form.made_from(old, attempt));
    made.take(10_000).find(free).unwrap_or_else(|| digest(old, 9))
}
