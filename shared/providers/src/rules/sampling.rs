//! Sampling parameters that a vendor, or a family of its models, answers 400 to. They are wishes: the request is
//! served without them. So is an effort that the model has not: the nearest one is asked for.

use hearth_domain::{ReasoningEffort, Sampling};

use super::{Rules, draft::Draft};

/// A sampling parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parameter {
    Temperature,
    TopP,
    PresencePenalty,
    FrequencyPenalty,
}

/// The efforts that a model takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Efforts {
    /// It takes none.
    Nothing,
    /// Low, medium and high, and of the lower ones those that are told here.
    From { none: bool, minimal: bool },
}

pub(super) fn apply(rules: &Rules, draft: &mut Draft<'_>) {
    let is_silent =
        matches!(draft.task().reasoning, None | Some(ReasoningEffort::None | ReasoningEffort::Tokens(0)));
    let left_out = rules.left_out.filter(|_| !(rules.samples_when_silent && is_silent));
    for parameter in left_out.map(|rule| rule.is).unwrap_or_default() {
        if is_set(&draft.task().sampling, *parameter) {
            unset(&mut draft.edit().sampling, *parameter);
        }
    }
    let sampling = &draft.task().sampling;
    if rules.temperature_with_top_p.is_some() && sampling.temperature.is_some() && sampling.top_p.is_some() {
        draft.edit().sampling.top_p = None;
    }
    if let (Some(efforts), Some(effort)) = (rules.efforts, draft.task().reasoning) {
        let nearest = nearest(efforts.is, effort);
        if nearest != Some(effort) {
            draft.edit().reasoning = nearest;
        }
    }
}

fn nearest(efforts: Efforts, effort: ReasoningEffort) -> Option<ReasoningEffort> {
    use ReasoningEffort::{Low, Minimal, None as Nothing, Tokens};
    match (efforts, effort) {
        (Efforts::Nothing, _) => None,
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
