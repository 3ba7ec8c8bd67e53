//! Splits stop texts: the provider applies those that it supports, and the gateway the others.

use super::{draft::Draft, rule::Rules};

/// Removes the stop texts that the vendor doesn't support, and returns them.
pub(super) fn apply(rules: &Rules, draft: &mut Draft<'_>) -> Vec<String> {
    let Some(rule) = rules.stops else { return Vec::new() };
    let is_refused = |text: &String| !rule.value.blank && text.trim().is_empty();
    let stops = &draft.task().sampling.stop;
    if stops.len() <= rule.value.max_count && !stops.iter().any(is_refused) {
        return Vec::new();
    }
    let (mut sent, mut withheld): (Vec<String>, Vec<String>) =
        std::mem::take(&mut draft.edit().sampling.stop).into_iter().partition(|text| !is_refused(text));
    withheld.extend(sent.drain(rule.value.max_count.min(sent.len())..));
    draft.edit().sampling.stop = sent;
    withheld
}
