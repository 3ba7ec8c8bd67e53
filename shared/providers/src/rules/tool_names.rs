//! Replaces tools' names that a vendor refuses. The calls of the answer have the client's names again.

use std::collections::{BTreeMap, HashSet};

use hearth_domain::{Role, TextTask, ToolChoice};

use super::{
    call_ids::digest,
    draft::Draft,
    rule::{Rules, ToolNames},
};

/// Length of the digest at the end of a truncated name, in characters.
const DIGEST_CHARS: usize = 9;

impl ToolNames {
    fn accepts(self, name: &str) -> bool {
        let first = name.chars().next();
        (1..=self.max_chars).contains(&name.len())
            && name.chars().all(|c| self.accepts_char(c))
            && (!self.begins_with_letter || first.is_some_and(|c| c.is_ascii_alphabetic() || c == '_'))
    }

    fn accepts_char(self, c: char) -> bool {
        c.is_ascii_alphanumeric() || matches!(c, '_' | '-') || self.dots && c == '.'
    }

    /// Returns a name in this form for `name`. `attempt` distinguishes names that would be the same.
    fn replacement(self, name: &str, attempt: u32) -> String {
        let mut clean: String = name.chars().map(|c| if self.accepts_char(c) { c } else { '_' }).collect();
        if self.begins_with_letter && !clean.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
            clean.insert(0, '_');
        }
        if attempt == 0 && clean.len() <= self.max_chars {
            return clean;
        }
        clean.truncate(self.max_chars.saturating_sub(DIGEST_CHARS + 1));
        format!("{clean}_{}", digest(&format!("{name} {attempt}"), DIGEST_CHARS))
    }
}

/// Replaces the names that break the rule. Returns the client's names by the new ones.
pub(super) fn apply(rules: &Rules, draft: &mut Draft<'_>) -> BTreeMap<String, String> {
    let Some(rule) = rules.tool_names else { return BTreeMap::new() };
    let new = new_names(rule.value, draft.task());
    if new.is_empty() {
        return new;
    }
    let task = draft.edit();
    let rename = |name: &mut String| {
        if let Some(to) = new.get(name) {
            name.clone_from(to);
        }
    };
    task.tools.iter_mut().for_each(|tool| rename(&mut tool.name));
    if let ToolChoice::Named(name) = &mut task.tool_choice {
        rename(name);
    }
    for message in &mut task.messages {
        message.tool_calls.iter_mut().for_each(|call| rename(&mut call.name));
        if message.role == Role::Tool {
            message.name.iter_mut().for_each(rename);
        }
    }
    task.tool_extra = std::mem::take(&mut task.tool_extra)
        .into_iter()
        .map(|(mut name, fields)| {
            rename(&mut name);
            (name, fields)
        })
        .collect();
    new.into_iter().map(|(old, new)| (new, old)).collect()
}

/// Returns a new name for each name that the vendor refuses.
fn new_names(form: ToolNames, task: &TextTask) -> BTreeMap<String, String> {
    let calls = task.messages.iter().flat_map(|message| &message.tool_calls).map(|call| &call.name);
    let all: Vec<&String> = task.tools.iter().map(|tool| &tool.name).chain(calls).collect();
    let mut taken: HashSet<String> =
        all.iter().filter(|name| form.accepts(name)).map(|name| (*name).clone()).collect();
    let mut new = BTreeMap::new();
    for name in all {
        if form.accepts(name) || new.contains_key(name) {
            continue;
        }
        let mut candidates = (0..10_000).map(|attempt| form.replacement(name, attempt));
        if let Some(free) = candidates.find(|candidate| !taken.contains(candidate)) {
            taken.insert(free.clone());
            new.insert(name.clone(), free);
        }
    }
    new
}
