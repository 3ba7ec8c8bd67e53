//! The confidence of an analysis: the mean of its parts by weight.
//!
//! | part | weight | value |
//! |---|---|---|
//! | log-probability | 4 | geometric mean of the probabilities of the values' tokens |
//! | validity | 3 | 1 for an answer that fits the schema, 0.5 for the relaxed one, 0 otherwise |
//! | completeness | 2 | share of the schema's fields that have a value |
//! | agreement | 3 | share of the values that the samples have in common, and the language |
//!
//! A part that isn't known has no weight. An answer that fails its schema has [`FAILED_MAX`] at most.

use std::ops::Range;

use hearth_domain::TokenLogprob;
use hearth_wire::native::analyze::{ConfidenceBody, ConfidencePart, ValidationStatus};
use serde_json::Value;

const LOG_PROBABILITY_WEIGHT: f64 = 4.0;
const VALIDITY_WEIGHT: f64 = 3.0;
const COMPLETENESS_WEIGHT: f64 = 2.0;
const AGREEMENT_WEIGHT: f64 = 3.0;
/// Confidence of an answer that fails its schema, at most.
const FAILED_MAX: f64 = 0.3;
/// Levels of a schema whose fields count for the completeness.
const FIELD_LEVELS_MAX_COUNT: u32 = 8;

/// The values of the parts, 0 to 1; none for a part that isn't known.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Parts {
    pub(super) log_probability: Option<f64>,
    pub(super) validity: Option<f64>,
    pub(super) completeness: Option<f64>,
    pub(super) agreement: Option<f64>,
}

impl Parts {
    /// The confidence, and its parts for the response.
    pub(super) fn combine(self, status: ValidationStatus) -> (f64, ConfidenceBody) {
        let weighted = [
            (self.log_probability, LOG_PROBABILITY_WEIGHT),
            (self.validity, VALIDITY_WEIGHT),
            (self.completeness, COMPLETENESS_WEIGHT),
            (self.agreement, AGREEMENT_WEIGHT),
        ];
        let sum: f64 = weighted.iter().filter(|(value, _)| value.is_some()).map(|(_, weight)| weight).sum();
        let [log_probability, validity, completeness, agreement] = weighted.map(|(value, weight)| {
            value.map(|value| ConfidencePart {
                value: rounded(value.clamp(0.0, 1.0)),
                weight: rounded(weight / sum),
            })
        });
        let mean: f64 = weighted
            .iter()
            .filter_map(|(value, weight)| value.map(|value| value.clamp(0.0, 1.0) * weight / sum))
            .sum();
        let confidence = if status == ValidationStatus::Failed { mean.min(FAILED_MAX) } else { mean };
        (rounded(confidence), ConfidenceBody { log_probability, validity, completeness, agreement })
    }
}

/// A number with three decimals.
pub(super) fn rounded(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}

/// The value of the validity; none for an answer that wasn't validated.
pub(super) fn validity(status: ValidationStatus) -> Option<f64> {
    match status {
        ValidationStatus::Passed => Some(1.0),
        ValidationStatus::Relaxed => Some(0.5),
        ValidationStatus::Failed => Some(0.0),
        ValidationStatus::Bypassed => None,
    }
}

/// Geometric mean of the probabilities of the tokens in the values of `text`, a JSON text; none without tokens. Names of fields
/// and punctuation say nothing: the schema has them. If the tokens aren't those of the text, all of them count.
pub(super) fn log_probability(text: &str, tokens: &[TokenLogprob]) -> Option<f64> {
    let length: usize = tokens.iter().map(|token| token.token.bytes.len()).sum();
    let spans = if length == text.len() { value_spans(text) } else { Vec::new() };
    let (mut of_values, mut all) = (Vec::new(), Vec::new());
    let (mut start, mut span) = (0, 0);
    for token in tokens {
        let end = start + token.token.bytes.len();
        let logprob = f64::from(token.token.logprob);
        all.push(logprob);
        while spans.get(span).is_some_and(|span: &Range<usize>| span.end <= start) {
            span += 1;
        }
        if spans.get(span).is_some_and(|span| span.start < end) {
            of_values.push(logprob);
        }
        start = end;
    }
    let counted = if of_values.is_empty() { all } else { of_values };
    if counted.is_empty() {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "a number of tokens")]
    let mean = counted.iter().sum::<f64>() / counted.len() as f64;
    Some(mean.exp())
}

/// The places of the values in a JSON text: texts that are no names of fields, numbers and words.
fn value_spans(text: &str) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let (mut spans, mut at) = (Vec::new(), 0);
    while let Some(byte) = bytes.get(at) {
        let start = at;
        match byte {
            b'"' => {
                at += 1;
                while let Some(byte) = bytes.get(at).filter(|byte| **byte != b'"') {
                    at += if *byte == b'\\' { 2 } else { 1 };
                }
                at = (at + 1).min(bytes.len());
                let next = bytes.iter().skip(at).find(|byte| !byte.is_ascii_whitespace());
                if next != Some(&b':') {
                    spans.push(start..at);
                }
            }
            b'-' | b'0'..=b'9' | b'a'..=b'z' => {
                let ends = |byte: &u8| !matches!(byte, b'-' | b'+' | b'.' | b'0'..=b'9' | b'a'..=b'z' | b'E');
                at += bytes.iter().skip(at).position(ends).unwrap_or(bytes.len() - at);
                spans.push(start..at);
            }
            _ => at += 1,
        }
    }
    spans
}

/// Share of the fields of a schema that have a value in the data; none for a schema without fields. A field of an object that
/// is absent counts once, and those of a list's items count in each item.
pub(super) fn completeness(schema: &Value, data: &Value) -> Option<f64> {
    let (filled, fields) = count_fields(schema, schema, data, FIELD_LEVELS_MAX_COUNT);
    #[expect(clippy::cast_precision_loss, reason = "numbers of fields")]
    let share = filled as f64 / fields as f64;
    (fields > 0).then_some(share)
}

/// The number of fields with a value, and of all fields.
fn count_fields(root: &Value, schema: &Value, data: &Value, levels: u32) -> (usize, usize) {
    let Some(levels) = levels.checked_sub(1) else { return (0, 0) };
    let schema = match schema["$ref"].as_str().and_then(|reference| reference.strip_prefix('#')) {
        Some(pointer) => root.pointer(pointer).unwrap_or(schema),
        None => schema,
    };
    if let Value::Array(values) = data {
        let counts = values.iter().map(|value| count_fields(root, &schema["items"], value, levels));
        return counts.fold((0, 0), |sum, count| (sum.0 + count.0, sum.1 + count.1));
    }
    let mut sum = (0, 0);
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let value = &data[name];
        sum.1 += 1;
        // A schema that refers to itself is followed only as far as the data goes.
        if has_value(value) {
            let inner = count_fields(root, field, value, levels);
            sum.0 += 1 + inner.0;
            sum.1 += inner.1;
        }
    }
    sum
}

fn has_value(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.trim().is_empty(),
        Value::Array(values) => !values.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        Value::Bool(_) | Value::Number(_) => true,
    }
}

/// Share of the values of `first` that each of the others has at the same place, on average; none without others.
pub(super) fn agreement(first: &Value, others: &[Value]) -> Option<f64> {
    let shares: Vec<f64> = others.iter().map(|other| equal_share(first, other)).collect();
    #[expect(clippy::cast_precision_loss, reason = "a number of samples")]
    let mean = shares.iter().sum::<f64>() / shares.len() as f64;
    (!shares.is_empty()).then_some(mean)
}

fn equal_share(one: &Value, other: &Value) -> f64 {
    let (equal, all) = count_equal(one, other);
    #[expect(clippy::cast_precision_loss, reason = "numbers of values")]
    let share = equal as f64 / all as f64;
    if all == 0 { 1.0 } else { share }
}

/// The number of equal values at the same place, and of the places that either has.
fn count_equal(one: &Value, other: &Value) -> (usize, usize) {
    let add = |sum: (usize, usize), count: (usize, usize)| (sum.0 + count.0, sum.1 + count.1);
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            let only_other = other.iter().filter(|(name, _)| !one.contains_key(*name));
            let alone = only_other.map(|(_, value)| (0, leaves(value)));
            let both = one.iter().map(|(name, value)| match other.get(name) {
                Some(same) => count_equal(value, same),
                None => (0, leaves(value)),
            });
            both.chain(alone).fold((0, 0), add)
        }
        (Value::Array(one), Value::Array(other)) => {
            let both = one.iter().zip(other).map(|(one, other)| count_equal(one, other));
            let rest = one.iter().skip(other.len()).chain(other.iter().skip(one.len()));
            both.chain(rest.map(|value| (0, leaves(value)))).fold((0, 0), add)
        }
        (Value::String(one), Value::String(other)) => {
            let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
            (usize::from(plain(one) == plain(other)), 1)
        }
        (Value::Number(one), Value::Number(other)) => (usize::from(one.as_f64() == other.as_f64()), 1),
        (one, other) if one == other => (1, 1),
        (one, other) => (0, leaves(one).max(leaves(other))),
    }
}

fn leaves(value: &Value) -> usize {
    match value {
        Value::Array(values) => values.iter().map(leaves).sum::<usize>().max(1),
        Value::Object(fields) => fields.values().map(leaves).sum::<usize>().max(1),
        _ => 1,
    }
}

#[cfg(test)]
mod tests;
