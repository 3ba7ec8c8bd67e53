//! Refuses fields that a vendor doesn't support, or values above its limits, which can't be rewritten.

use hearth_domain::Field;
use hearth_wire::ApiError;
use serde_json::Value;

use super::{
    draft::Draft,
    rule::{MetadataBounds, Rules},
};

pub(super) fn apply(rules: &Rules, draft: &Draft<'_>) -> Result<(), ApiError> {
    let task = draft.task();
    let fields = [
        (Field::Choices, task.choices > 1, rules.choices, "must be left out: a request has one answer"),
        (
            Field::TopLogprobs,
            task.top_logprobs.is_some(),
            rules.logprobs,
            "must be left out: log-probabilities are not supported",
        ),
        (
            Field::Sampling("logit_bias"),
            !task.sampling.logit_bias.is_empty(),
            rules.logit_bias,
            "must be left out: biases of tokens are not supported",
        ),
    ];
    for (field, is_set, refused, problem) in fields {
        if let Some(source) = refused.filter(|_| is_set) {
            return Err(draft.refuse(field, problem, source));
        }
    }
    if let Some(max) = rules.max_tools
        && task.tools.len() + draft.generation.extra.hosted.definitions.len() > max.value
    {
        return Err(draft.refuse(
            Field::Tools,
            &format!("must have at most {} tools", max.value),
            max.source,
        ));
    }
    metadata(rules, draft)
}

/// Checks the client's metadata, which a provider of the same dialect receives.
fn metadata(rules: &Rules, draft: &Draft<'_>) -> Result<(), ApiError> {
    let Some(bounds) = rules.metadata else { return Ok(()) };
    let MetadataBounds { max_pairs, name_max_chars, value_max_chars } = bounds.value;
    let Some(Value::Object(pairs)) = draft.generation.extra.fields.get("metadata") else { return Ok(()) };
    let fits = pairs.len() <= max_pairs
        && pairs.iter().all(|(name, value)| {
            let value = value.as_str().map(|text| text.chars().count());
            name.chars().count() <= name_max_chars && value.is_some_and(|length| length <= value_max_chars)
        });
    if fits {
        return Ok(());
    }
    let problem = format!(
        "metadata must have at most {max_pairs} pairs, names of at most {name_max_chars} characters and texts of at most \
         {value_max_chars}"
    );
    Err(ApiError::invalid("metadata", problem).with("provider", draft.provider).with("rule", bounds.source))
}
