//! Stop texts: how many, and which, a vendor takes. The gateway applies the others itself.

use super::{Rules, draft::Draft};

/// The stop texts that a vendor takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stops {
    /// How many.
    pub(crate) most: usize,
    /// Whether also those of white space alone.
    pub(crate) blank: bool,
}

/// Leaves the texts that the vendor takes; gives the others.
pub(super) fn apply(rules: &Rules, draft: &mut Draft<'_>) -> Vec<String> {
    let Some(rule) = rules.stops else { return Vec::new() };
    let is_blank = |text: &String| !rule.is.blank && text.trim().is_empty();
    let stops = &draft.task().sampling.stop;
    if stops.len() <= rule.is.most && !stops.iter().any(is_blank) {
        return Vec::new();
    }
    let (mut sent, mut kept): (Vec<String>, Vec<String>) =
        std::mem::take(&mut draft.edit().sampling.stop).into_iter().partition(|text| !is_blank(text));
    kept.extend(sent.drain(rule.is.most.min(sent.len())..));
    draft.edit().sampling.stop = sent;
    kept
}
