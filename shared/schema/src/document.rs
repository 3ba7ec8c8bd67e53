//! A schema of draft 2020-12 in one document, with its limits.

use serde_json::{Map, Value, json};

use super::keywords;

/// Longest chain of references that apply to one value.
const REFERENCE_CHAIN_MAX_COUNT: usize = 64;
/// Largest number of patterns in a schema.
const PATTERNS_MAX_COUNT: usize = 500;
/// Largest number of patterns on one value that a grammar can express: the time for a token mask grows exponentially with
/// it.
const INTERSECTED_PATTERNS_MAX_COUNT: usize = 3;

/// Largest number of properties of one object that a grammar can express: the time to compile it grows with their square, and
/// the states of its parser with their number.
const PROPERTIES_MAX_COUNT: usize = 2000;

/// A schema whose references all point to its own definitions.
#[derive(Debug)]
pub(super) struct Document {
    /// Definitions by number; the first is the root.
    pub(super) definitions: Vec<Value>,
}

/// Formats the reference to definition `number`.
pub(super) fn reference(number: usize) -> String {
    format!("#/$defs/d{number}")
}

/// Returns the number of the definition that `reference` refers to.
pub(super) fn referenced(reference: &Value) -> Option<usize> {
    reference.as_str()?.strip_prefix("#/$defs/d")?.parse().ok()
}

impl Document {
    /// Writes the definitions as one schema with `$defs`.
    pub(super) fn to_schema(definitions: impl IntoIterator<Item = (usize, Value)>) -> Value {
        let named = |(number, schema)| (format!("d{number}"), schema);
        let definitions: Map<String, Value> = definitions.into_iter().map(named).collect();
        json!({"$ref": reference(0), "$defs": definitions})
    }

    /// Returns whether more patterns may apply to one value than a grammar can express.
    pub(super) fn intersects_many_patterns(&self) -> bool {
        let order = self.topological_order().unwrap_or_default();
        let mut counts = vec![0_usize; self.definitions.len()];
        for number in order.into_iter().rev() {
            counts[number] = count_intersected(&self.definitions[number], &counts);
        }
        let anywhere = |schema: &Value| max_intersected(schema, &counts);
        self.definitions.iter().map(anywhere).max().unwrap_or(0) > INTERSECTED_PATTERNS_MAX_COUNT
    }

    /// Returns whether an object has more properties than a grammar can express.
    pub(super) fn has_many_properties(&self) -> bool {
        self.definitions.iter().any(has_many_properties)
    }

    /// Number of patterns in the schema.
    pub(super) fn pattern_count(&self) -> usize {
        self.definitions.iter().map(count_patterns).sum()
    }

    /// Checks the limits of the schema.
    ///
    /// # Errors
    /// The exceeded limit.
    pub(super) fn check_limits(&self) -> Result<(), String> {
        let patterns = self.pattern_count();
        if patterns > PATTERNS_MAX_COUNT {
            return Err(format!("may have at most {PATTERNS_MAX_COUNT} patterns, and has {patterns}"));
        }
        let order = self.topological_order().ok_or(
            "refers to itself for the same value, without a property or an item between; remove that reference",
        )?;
        let mut chains = vec![1_usize; self.definitions.len()];
        for number in order.into_iter().rev() {
            let mut targets = Vec::new();
            in_place_targets(&self.definitions[number], &mut targets);
            chains[number] = 1 + targets.into_iter().map(|target| chains[target]).max().unwrap_or(0);
        }
        if chains.into_iter().max().unwrap_or(0) > REFERENCE_CHAIN_MAX_COUNT {
            return Err(format!("may have at most {REFERENCE_CHAIN_MAX_COUNT} references in a row"));
        }
        Ok(())
    }

    /// Sorts the definitions topologically: each before those that it applies to the same value. `None` if there is a cycle.
    fn topological_order(&self) -> Option<Vec<usize>> {
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

/// Collects the definitions that `schema` applies to the same value.
fn in_place_targets(schema: &Value, targets: &mut Vec<usize>) {
    for (keyword, value) in schema.as_object().into_iter().flatten() {
        if keyword == "$ref" {
            targets.extend(referenced(value));
        } else if keywords::applies_in_place(keyword) {
            keywords::subschemas(keyword, value).for_each(|schema| in_place_targets(schema, targets));
        }
    }
}

/// Counts the patterns that apply to one value at once; `counts` has those of the definitions.
fn count_intersected(schema: &Value, counts: &[usize]) -> usize {
    let mut sum = 0_usize;
    for (keyword, value) in schema.as_object().into_iter().flatten() {
        sum = sum.saturating_add(match keyword.as_str() {
            "pattern" | "format" => 1,
            "$ref" => referenced(value).map_or(0, |target| counts[target]),
            "allOf" => {
                keywords::subschemas(keyword, value).map(|schema| count_intersected(schema, counts)).sum()
            }
            "anyOf" | "oneOf" => keywords::subschemas(keyword, value)
                .map(|schema| count_intersected(schema, counts))
                .max()
                .unwrap_or(0),
            _ => 0,
        });
    }
    sum
}

/// Returns the largest number of patterns that apply to one value, anywhere in `schema`.
fn max_intersected(schema: &Value, counts: &[usize]) -> usize {
    let inner = schema.as_object().into_iter().flatten();
    let inner = inner.flat_map(|(keyword, value)| keywords::subschemas(keyword, value));
    let inner = inner.map(|schema| max_intersected(schema, counts)).max().unwrap_or(0);
    inner.max(count_intersected(schema, counts))
}

fn has_many_properties(schema: &Value) -> bool {
    let members = schema.as_object().into_iter().flatten();
    members.into_iter().any(|(keyword, value)| {
        let count = match keyword.as_str() {
            "properties" => value.as_object().map_or(0, Map::len),
            _ => 0,
        };
        count > PROPERTIES_MAX_COUNT || keywords::subschemas(keyword, value).any(has_many_properties)
    })
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
            own + keywords::subschemas(keyword, value).map(count_patterns).sum::<usize>()
        })
        .sum()
}
