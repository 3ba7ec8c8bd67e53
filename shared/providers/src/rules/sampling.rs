//! Removes sampling parameters that a vendor refuses: they are preferences. A temperature above the vendor's range, and an effort
//! that the model doesn't support, are replaced by the nearest supported value.

use hearth_domain::{ReasoningEffort, Sampling};

use super::{
    draft::Draft,
    rule::{Efforts, Parameter, Rules},
};

pub(super) fn apply(rules: &Rules, draft: &mut Draft<'_>) {
    let without_reasoning =
        matches!(draft.task().reasoning, None | Some(ReasoningEffort::None | ReasoningEffort::Tokens(0)));
    let accepts_all = rules.accepts_parameters_without_reasoning && without_reasoning;
    let refused = rules.refused_parameters.filter(|_| !accepts_all);
    for parameter in refused.map(|rule| rule.value).unwrap_or_default() {
        if is_set(&draft.task().sampling, *parameter) {
            unset(&mut draft.edit().sampling, *parameter);
        }
    }
    if let (Some(highest), Some(temperature)) = (rules.max_temperature, draft.task().sampling.temperature)
        && temperature > highest.value
    {
        draft.edit().sampling.temperature = Some(highest.value);
    }
    let sampling = &draft.task().sampling;
    if rules.temperature_with_top_p.is_some() && sampling.temperature.is_some() && sampling.top_p.is_some() {
        draft.edit().sampling.top_p = None;
    }
    if let (Some(efforts), Some(effort)) = (rules.efforts, draft.task().reasoning) {
        let nearest = nearest(efforts.value, effort);
        if nearest != Some(effort) {
            draft.edit().reasoning = nearest;
        }
    }
}

/// Removes log-probabilities that the client takes only if there are any, where the vendor, or some of its models, refuse them.
pub(super) fn drop_optional_logprobs(rules: &Rules, draft: &mut Draft<'_>) {
    let (task, is_refused) = (draft.task(), rules.logprobs.or(rules.uneven_logprobs).is_some());
    if is_refused && task.logprobs_if_available && task.top_logprobs.is_some() {
        draft.edit().top_logprobs = None;
    }
}

fn nearest(efforts: Efforts, effort: ReasoningEffort) -> Option<ReasoningEffort> {
    use ReasoningEffort::{Low, Minimal, None as Nothing, Tokens};
    match (efforts, effort) {
        (Efforts::Unsupported, _) => None,
        (Efforts::From { none: false, minimal }, Nothing | Tokens(0)) => {
            Some(if minimal { Minimal } else { Low })
        }
        (Efforts::From { minimal: false, .. }, Minimal) => Some(Low),
        _ => Some(effort),
    }
}

fn is_set(sampling: &Sampling, parameter: Parameter) -> bool {
    match parameter {
        Parameter::Temperature => sampling.temperature.is_some(),
        Parameter::TopP => sampling.top_p.is_some(),
        Parameter::PresencePenalty => sampling.presence_penalty.is_some(),
        Parameter::FrequencyPenalty => sampling.frequency_penalty.is_some(),
    }
}

fn unset(sampling: &mut Sampling, parameter: Parameter) {
    match parameter {
        Parameter::Temperature => sampling.temperature = None,
        Parameter::TopP => sampling.top_p = None,
        Parameter::PresencePenalty => sampling.presence_penalty = None,
        Parameter::FrequencyPenalty => sampling.frequency_penalty = None,
    }
}
