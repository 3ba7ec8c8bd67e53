//! A schema of draft 2020-12 in one document, and its limits.

use serde_json::{Map, Value, json};

use super::keywords;

/// How many references in a row may apply to one value.
const REFERENCE_CHAIN_MAX_COUNT: usize = 64;
/// How many patterns a schema may have.
const PATTERNS_MAX_COUNT: usize = 500;
/// How many patterns may apply to one value, for a grammar to express all of them at once: the time for a mask grows
/// exponentially with them.
const INTERSECTED_PATTERNS_MAX_COUNT: usize = 3;

/// A schema whose references all point to its own definitions.
#[derive(Debug)]
pub(super) struct Document {
    /// The root is the first.
    pub(super) definitions: Vec<Value>,
}

/// A reference to the definition of this number.
pub(super) fn reference(number: usize) -> String {
    format!("#/$defs/d{number}")
}

/// The number of the definition that `reference` points at.
pub(super) fn referenced(reference: &Value) -> Option<usize> {
    reference.as_str()?.strip_prefix("#/$defs/d")?.parse().ok()
}

impl Document {
    /// The schema with its definitions in `$defs`.
    pub(super) fn to_schema(definitions: impl IntoIterator<Item = (usize, Value)>) -> Value {
        let named = |(number, schema)| (format!("d{number}"), schema);
        let definitions: Map<String, Value> = definitions.into_iter().map(named).collect();
        json!({"$ref": reference(0), "$defs": definitions})
    }

    /// Whether a value may have to fit more patterns than a grammar can follow at once.
    pub(super) fn intersects_many_patterns(&self) -> bool {
        let order = self.order().unwrap_or_default();
        let mut counts = vec![0_usize; self.definitions.len()];
        for number in order.into_iter().rev() {
            counts[number] = intersected(&self.definitions[number], &counts);
        }
        let anywhere = |schema: &Value| most_anywhere(schema, &counts);
        self.definitions.iter().map(anywhere).max().unwrap_or(0) > INTERSECTED_PATTERNS_MAX_COUNT
    }

    /// Bounds what the schema costs to follow.
    ///
    /// # Errors
    /// What is too much.
    pub(super) fn check_limits(&self) -> Result<(), String> {
        let patterns: usize = self.definitions.iter().map(count_patterns).sum();
        if patterns > PATTERNS_MAX_COUNT {
            return Err(format!("may have {PATTERNS_MAX_COUNT} patterns, and this one has {patterns}"));
        }
        let order = self.order().ok_or(
            "refers to itself without going into a property or an item, so that it has no end; remove that reference",
        )?;
        let mut chains = vec![1_usize; self.definitions.len()];
        for number in order.into_iter().rev() {
            let mut targets = Vec::new();
            in_place_targets(&self.definitions[number], &mut targets);
            chains[number] = 1 + targets.into_iter().map(|target| chains[target]).max().unwrap_or(0);
        }
        if chains.into_iter().max().unwrap_or(0) > REFERENCE_CHAIN_MAX_COUNT {
            return Err(format!(
                "may have {REFERENCE_CHAIN_MAX_COUNT} references in a row; this one has more"
            ));
        }
        Ok(())
    }

    /// The definitions, each before those that apply to the same value through it; none if there is a circle.
    fn order(&self) -> Option<Vec<usize>> {
        let targets: Vec<Vec<usize>> = self
            .definitions
            .iter()
            .map(|schema| {
                let mut targets = Vec::new();
                in_place_targets(schema, &mut targets);
                targets
            })
            .collect();
        let mut incoming = vec![0_usize; targets.len()];
        targets.iter().flatten().for_each(|target| incoming[*target] += 1);
        let mut order: Vec<usize> = (0..targets.len()).filter(|number| incoming[*number] == 0).collect();
        let mut next = 0;
        while let Some(number) = order.get(next).copied() {
            next += 1;
            for target in &targets[number] {
                incoming[*target] -= 1;
                if incoming[*target] == 0 {
                    order.push(*target);
                }
            }
        }
        (order.len() == targets.len()).then_some(order)
    }
}

/// The definitions that apply to the same value as `schema`.
fn in_place_targets(schema: &Value, targets: &mut Vec<usize>) {
    for (keyword, value) in schema.as_object().into_iter().flatten() {
        if keyword == "$ref" {
            targets.extend(referenced(value));
        } else if keywords::applies_in_place(keyword) {
            keywords::held(keyword, value).for_each(|schema| in_place_targets(schema, targets));
        }
    }
}

/// How many patterns apply to one value at once, with `counts` for the definitions.
fn intersected(schema: &Value, counts: &[usize]) -> usize {
    let mut sum = 0_usize;
    for (keyword, value) in schema.as_object().into_iter().flatten() {
        sum = sum.saturating_add(match keyword.as_str() {
            "pattern" | "format" => 1,
            "$ref" => referenced(value).map_or(0, |target| counts[target]),
            "allOf" => keywords::held(keyword, value).map(|schema| intersected(schema, counts)).sum(),
            "anyOf" | "oneOf" => {
                keywords::held(keyword, value).map(|schema| intersected(schema, counts)).max().unwrap_or(0)
            }
            _ => 0,
        });
    }
    sum
}

/// The largest number of patterns that apply to one value, at any place of `schema`.
fn most_anywhere(schema: &Value, counts: &[usize]) -> usize {
    let inner = schema.as_object().into_iter().flatten();
    let inner = inner.flat_map(|(keyword, value)| keywords::held(keyword, value));
    let inner = inner.map(|schema| most_anywhere(schema, counts)).max().unwrap_or(0);
    inner.max(intersected(schema, counts))
}

fn count_patterns(schema: &Value) -> usize {
    let members = schema.as_object().into_iter().flatten();
    members
        .map(|(keyword, value)| {
            let own = match keyword.as_str() {
                "pattern" => 1,
                "patternProperties" => value.as_object().map_or(0, Map::len),
                _ => 0,
            };
            own + keywords::held(keyword, value).map(count_patterns).sum::<usize>()
        })
        .sum()
}
