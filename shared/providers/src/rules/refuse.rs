//! What a vendor has no words for, or takes less of, and what cannot be rewritten.

use hearth_domain::Field;
use hearth_wire::ApiError;
use serde_json::Value;

use super::{Rules, draft::Draft};

/// The bounds of `metadata`: pairs, characters of a name, characters of a value.
pub(crate) type MetadataBounds = (usize, usize, usize);

pub(super) fn apply(rules: &Rules, draft: &Draft<'_>) -> Result<(), ApiError> {
    let task = draft.task();
    let wanted = [
        (Field::Choices, task.choices > 1, rules.choices, "must be left out: there is one answer at a time"),
        (
            Field::TopLogprobs,
            task.top_logprobs.is_some(),
            rules.logprobs,
            "must be left out: log-probabilities are not told",
        ),
        (
            Field::Sampling("logit_bias"),
            !task.sampling.logit_bias.is_empty(),
            rules.logit_bias,
            "must be left out: no tokens can be favoured",
        ),
    ];
    for (field, is_wanted, refused, problem) in wanted {
        if let Some(source) = refused.filter(|_| is_wanted) {
            return Err(draft.refuse(field, problem, source));
        }
    }
    if let Some(most) = rules.max_tools
        && task.tools.len() + draft.generation.extra.hosted.definitions.len() > most.is
    {
        return Err(draft.refuse(Field::Tools, &format!("must have at most {} tools", most.is), most.source));
    }
    metadata(rules, draft)
}

/// A client's own notes, which go to a provider of its dialect.
fn metadata(rules: &Rules, draft: &Draft<'_>) -> Result<(), ApiError> {
    let Some(bounds) = rules.metadata else { return Ok(()) };
    let (pairs, name_length, value_length) = bounds.is;
    let Some(Value::Object(notes)) = draft.generation.extra.fields.get("metadata") else { return Ok(()) };
    let fits = notes.len() <= pairs
        && notes.iter().all(|(name, value)| {
            let value = value.as_str().map(|text| text.chars().count());
            name.chars().count() <= name_length && value.is_some_and(|length| length <= value_length)
        });
    if fits {
        return Ok(());
    }
    let problem = format!(
        "metadata must have at most {pairs} pairs, names of at most {name_length} characters and texts of at most \
         {value_length}"
    );
    Err(ApiError::invalid("metadata", problem).with("provider", draft.provider).with("rule", bounds.source))
}
