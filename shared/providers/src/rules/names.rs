//! The names of tools, in the form that a vendor takes. The answer's calls have the client's names again.

use std::collections::{BTreeMap, HashSet};

use hearth_domain::{Role, TextTask, ToolChoice};

use super::{Rules, call_ids::digest, draft::Draft};

/// The names that a vendor takes: letters, digits, `_` and `-` always are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Names {
    /// How many characters at most.
    pub(crate) most: usize,
    /// Whether a dot may be among them.
    pub(crate) dots: bool,
    /// Whether the first must be a letter or `_`.
    pub(crate) begins_with_letter: bool,
}

/// How much of a name that is too long is replaced, in characters.
const DIGEST_LENGTH: usize = 9;

impl Names {
    fn takes(self, name: &str) -> bool {
        let first = name.chars().next();
        (1..=self.most).contains(&name.len())
            && name.chars().all(|c| self.has(c))
            && (!self.begins_with_letter || first.is_some_and(|c| c.is_ascii_alphabetic() || c == '_'))
    }

    fn has(self, c: char) -> bool {
        c.is_ascii_alphanumeric() || matches!(c, '_' | '-') || self.dots && c == '.'
    }

    /// A name in this form, made from another. `attempt` sets apart those that would be the same.
    fn made_from(self, name: &str, attempt: u32) -> String {
        let mut clean: String = name.chars().map(|c| if self.has(c) { c } else { '_' }).collect();
        if self.begins_with_letter && !clean.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
            clean.insert(0, '_');
        }
        if attempt == 0 && clean.len() <= self.most {
            return clean;
        }
        clean.truncate(self.most.saturating_sub(DIGEST_LENGTH + 1));
        format!("{clean}_{}", digest(&format!("{name} {attempt}"), DIGEST_LENGTH))
    }
}

/// Makes every name keep to the rule; gives the client's name of each that was changed.
pub(super) fn apply(rules: &Rules, draft: &mut Draft<'_>) -> BTreeMap<String, String> {
    let Some(rule) = rules.tool_names else { return BTreeMap::new() };
    let new = new_names(rule.is, draft.task());
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

/// The new name of each name that the vendor does not take.
fn new_names(form: Names, task: &TextTask) -> BTreeMap<String, String> {
    let calls = task.messages.iter().flat_map(|message| &message.tool_calls).map(|call| &call.name);
    let all: Vec<&String> = task.tools.iter().map(|tool| &tool.name).chain(calls).collect();
    let mut taken: HashSet<String> =
        all.iter().filter(|name| form.takes(name)).map(|name| (*name).clone()).collect();
    let mut new = BTreeMap::new();
    for name in all {
        if form.takes(name) || new.contains_key(name) {
            continue;
        }
        let mut made = (0..10_000).map(|attempt| form.made_from(name, attempt));
        if let Some(made) = made.find(|made| !taken.contains(made)) {
            taken.insert(made.clone());
            new.insert(name.clone(), made);
        }
    }
    new
}
