//! Relaxes a schema: drops the keywords that a grammar can't express.
//!
//! Each step makes the schema accept more values, never fewer: an answer that the grammar rejects doesn't fit the schema
//! either. The names of the dropped keywords are collected for the response.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::{
    document::{Document, referenced},
    keywords::{self, SubschemaForm},
    pattern,
};

/// Longest pattern that goes into a grammar.
const PATTERN_MAX_BYTES: usize = 512;
/// Largest bound of a text's length that goes into a grammar, which has a state for each character.
const LENGTH_MAX: u64 = 2000;
/// Largest divisor that goes into a grammar, written without its point: a grammar has a state for each remainder.
const DIVISOR_MAX: u64 = 10_000;
/// Largest bound of a number, and least bound beside zero, that goes into a grammar. Its library expresses bounds below 2^63, each of
/// them as a pattern of their digits.
const BOUND_MAX: f64 = 1e15;
const BOUND_MIN: f64 = 1e-15;
/// Formats that the grammar's library supports. Others are annotations, by draft 2020-12.
const FORMATS: [&str; 10] =
    ["date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid", "uri"];

/// Degree to which the grammar enforces a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RelaxLevel {
    /// Everything that a grammar can express.
    Exact,
    /// Without patterns, formats and multiples.
    NoPatterns,
    /// Types, names, values, and one of several combined schemas.
    Outline,
    /// Any JSON of the root's type.
    Json,
}

impl RelaxLevel {
    /// All levels, the most exact first.
    pub(super) const ALL: &'static [Self] = &[Self::Exact, Self::NoPatterns, Self::Outline, Self::Json];
}

/// A relaxed schema.
#[derive(Debug, Clone, PartialEq)]
pub struct RelaxedSchema {
    /// The schema.
    pub schema: Value,
    /// The keywords that were dropped, everywhere or at some place.
    pub keywords: Vec<String>,
}

/// Relaxes `document` to `level`.
pub(super) fn relax(document: &Document, level: RelaxLevel) -> RelaxedSchema {
    let mut relaxer = Relaxer { level, dropped: BTreeSet::new() };
    if level == RelaxLevel::Json {
        return relaxer.json(document);
    }
    let mut definitions = BTreeMap::new();
    let mut open = vec![0];
    while let Some(number) = open.pop() {
        let Some(schema) = document.definitions.get(number).filter(|_| !definitions.contains_key(&number))
        else {
            continue;
        };
        let schema = relaxer.schema(schema);
        collect_references(&schema, &mut open);
        definitions.insert(number, schema);
    }
    RelaxedSchema { schema: Document::to_schema(definitions), keywords: relaxer.into_keywords() }
}

fn collect_references(schema: &Value, open: &mut Vec<usize>) {
    for (keyword, value) in schema.as_object().into_iter().flatten() {
        if keyword == "$ref" {
            open.extend(referenced(value));
        }
        keywords::subschemas(keyword, value).for_each(|schema| collect_references(schema, open));
    }
}

struct Relaxer {
    level: RelaxLevel,
    dropped: BTreeSet<String>,
}

impl Relaxer {
    fn into_keywords(self) -> Vec<String> {
        self.dropped.into_iter().collect()
    }

    fn drop_keyword(&mut self, keyword: &str) {
        if !self.dropped.contains(keyword) {
            self.dropped.insert(keyword.to_owned());
        }
    }

    /// Returns a schema for any JSON of the root's type, if that is an object or a list.
    fn json(mut self, document: &Document) -> RelaxedSchema {
        let mut all = document.definitions.clone();
        for schema in &mut all {
            keywords::visit_mut(schema, &mut |members| {
                members.keys().for_each(|keyword| self.drop_keyword(keyword))
            });
        }
        let mut root = document.definitions.first();
        // A root that is a reference has the type of its target.
        for _ in 0..document.definitions.len() {
            let target = root.and_then(|schema| schema.get("$ref")).and_then(referenced);
            match target {
                Some(number) => root = document.definitions.get(number),
                None => break,
            }
        }
        let root = root.unwrap_or(&Value::Null);
        let named =
            root.get("type").and_then(Value::as_str).filter(|name| matches!(*name, "object" | "array"));
        let implied = root.get("properties").map(|_| "object");
        let schema = named.or(implied).map_or_else(|| json!({}), |name| json!({"type": name}));
        RelaxedSchema { schema, keywords: self.into_keywords() }
    }

    fn schema(&mut self, schema: &Value) -> Value {
        let Value::Object(members) = schema else { return schema.clone() };
        match members.get("not") {
            // No value fits.
            Some(Value::Bool(true)) => return Value::Bool(false),
            Some(Value::Object(any)) if any.is_empty() => return Value::Bool(false),
            _ => {}
        }
        let mut written = Map::new();
        for (keyword, value) in members {
            self.keyword(keyword, value, members, &mut written);
        }
        if self.level == RelaxLevel::Outline {
            self.outline(&mut written);
        }
        Value::Object(written)
    }

    fn keyword(
        &mut self,
        keyword: &str,
        value: &Value,
        members: &Map<String, Value>,
        written: &mut Map<String, Value>,
    ) {
        let exact = self.level == RelaxLevel::Exact;
        let expresses_names =
            !members.contains_key("patternProperties") || exact && has_expressible_names(members);
        let is_expressible = match keyword {
            "$ref" | "type" | "enum" | "const" | "required" | "minItems" | "maxItems" => true,
            "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" => is_expressible_bound(value),
            "pattern" => exact && value.as_str().is_some_and(is_expressible_pattern),
            "format" => {
                if !value.as_str().is_some_and(|format| FORMATS.contains(&format)) {
                    return;
                }
                exact
            }
            "multipleOf" => exact && has_few_remainders(value),
            "minLength" | "maxLength" => value.as_u64().is_some_and(|length| length <= LENGTH_MAX),
            "minProperties" | "maxProperties" => exact && requires_all(members),
            "patternProperties" => expresses_names,
            "properties" | "items" | "prefixItems" | "allOf" | "anyOf" => true,
            // Names that match a dropped pattern must stay allowed.
            "additionalProperties" => expresses_names,
            "oneOf" => {
                self.drop_keyword(keyword);
                return self.any_of(value, members, written);
            }
            // Without other schemas beside it, it equals `additionalProperties`.
            "unevaluatedProperties" if evaluates_by_name(members) && expresses_names => {
                let schema = self.schema(value);
                written.insert("additionalProperties".to_owned(), schema);
                return;
            }
            "uniqueItems" if *value == Value::Bool(false) => return,
            "then" | "else" if !members.contains_key("if") => return,
            _ => false,
        };
        if is_expressible {
            let relaxed = self.relax_value(keyword, value);
            written.insert(keyword.to_owned(), relaxed);
        } else {
            self.drop_keyword(keyword);
        }
    }

    /// Relaxes the schemas in a keyword's value.
    fn relax_value(&mut self, keyword: &str, value: &Value) -> Value {
        match (keywords::subschema_form(keyword), value) {
            (Some(SubschemaForm::One), schema) => self.schema(schema),
            (Some(SubschemaForm::List), Value::Array(schemas)) => {
                schemas.iter().map(|schema| self.schema(schema)).collect()
            }
            (Some(SubschemaForm::ByName), Value::Object(schemas)) => {
                schemas.iter().map(|(name, schema)| (name.clone(), self.schema(schema))).collect()
            }
            _ => value.clone(),
        }
    }

    /// Replaces `oneOf` by `anyOf`.
    fn any_of(&mut self, value: &Value, members: &Map<String, Value>, written: &mut Map<String, Value>) {
        let branches = self.relax_value("oneOf", value);
        if !members.contains_key("anyOf") {
            written.insert("anyOf".to_owned(), branches);
        } else if self.level == RelaxLevel::Outline {
            // The schema already has an `anyOf`, and an outline has one of both.
        } else {
            let also = json!({"anyOf": branches});
            match written.get_mut("allOf").and_then(Value::as_array_mut) {
                Some(all) => all.push(also),
                None => drop(written.insert("allOf".to_owned(), json!([also]))),
            }
        }
    }

    /// Keeps one of the schemas that apply to the same value, since a grammar's intersections are expensive.
    fn outline(&mut self, written: &mut Map<String, Value>) {
        let own = |written: &Map<String, Value>| {
            ["type", "enum", "const", "properties", "items", "prefixItems"]
                .iter()
                .any(|key| written.contains_key(*key))
        };
        for keyword in ["$ref", "anyOf", "allOf"] {
            let alone = written.len() == 1;
            if alone || !written.contains_key(keyword) {
                continue;
            }
            let others = own(written)
                || ["$ref", "anyOf", "allOf"].iter().filter(|key| written.contains_key(**key)).count() > 1;
            if others {
                written.shift_remove(keyword);
                self.drop_keyword(keyword);
            }
        }
        if let Some(Value::Array(all)) = written.get("allOf")
            && all.len() > 1
        {
            let first = all.first().cloned().unwrap_or_else(|| json!({}));
            self.drop_keyword("allOf");
            written.insert("allOf".to_owned(), json!([first]));
        }
    }
}

/// Returns whether a grammar's lexer can have a state for each remainder of division by this number, written without its point.
fn has_few_remainders(divisor: &Value) -> bool {
    let text = divisor.to_string();
    let digits: String = text.chars().filter(|character| *character != '.').collect();
    digits.parse::<u64>().is_ok_and(|digits| digits <= DIVISOR_MAX)
}

fn is_expressible_bound(bound: &Value) -> bool {
    bound.as_f64().is_some_and(|bound| bound == 0.0 || (BOUND_MIN..=BOUND_MAX).contains(&bound.abs()))
}

fn is_expressible_pattern(pattern: &str) -> bool {
    pattern.len() <= PATTERN_MAX_BYTES && !pattern::backtracks(pattern)
}

/// Returns whether a grammar can express all patterns of property names.
fn has_expressible_names(members: &Map<String, Value>) -> bool {
    let patterns = members.get("patternProperties").and_then(Value::as_object);
    patterns.is_none_or(|patterns| patterns.keys().all(|pattern| is_expressible_pattern(pattern)))
}

/// Returns whether all named properties are required: only then can a grammar count an object's properties.
fn requires_all(members: &Map<String, Value>) -> bool {
    let required: BTreeSet<&str> = match members.get("required") {
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => BTreeSet::new(),
    };
    let properties = members.get("properties").and_then(Value::as_object);
    properties.is_none_or(|properties| properties.keys().all(|name| required.contains(name.as_str())))
}

/// Returns whether no other schema evaluates properties of the same object.
fn evaluates_by_name(members: &Map<String, Value>) -> bool {
    let applies_schema = |keyword: &String| keyword == "$ref" || keywords::applies_in_place(keyword);
    !members.contains_key("additionalProperties") && !members.keys().any(applies_schema)
}

#[cfg(test)]
mod tests;
