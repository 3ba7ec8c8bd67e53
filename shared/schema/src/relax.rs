//! Drops from a schema what a grammar can't express.
//!
//! Each step makes the schema accept more values, never fewer, so that an answer which the grammar shuts out would
//! not have fitted either. The names of the keywords that lost their effect are collected for the response.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::{
    document::{Document, referenced},
    keywords::{self, Holds},
};

/// How long a pattern may be that goes into a grammar, in bytes.
const PATTERN_MAX_BYTES: usize = 512;
/// The largest bound of a text's length that goes into a grammar: each character of a bounded text is a state.
const LENGTH_MAX: u64 = 2000;
/// The formats that the grammar's library knows. Any other is an annotation, as draft 2020-12 says.
const FORMATS: [&str; 10] =
    ["date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid", "uri"];

/// How much of a schema the grammar enforces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Everything that grammars have a form for.
    Exact,
    /// No patterns, formats and multiples.
    NoPatterns,
    /// Types, names, values, and one branch of what is combined.
    Outline,
    /// JSON, of the root's type.
    Json,
}

impl Level {
    /// All, the most exact first.
    pub(super) const ALL: &'static [Self] = &[Self::Exact, Self::NoPatterns, Self::Outline, Self::Json];
}

/// A schema for a grammar.
#[derive(Debug, Clone, PartialEq)]
pub struct Relaxed {
    /// The schema.
    pub schema: Value,
    /// The keywords that it leaves out, wholly or at some place.
    pub keywords: Vec<String>,
}

/// Relaxes `document` to what a grammar expresses at `level`.
pub(super) fn relax(document: &Document, level: Level) -> Relaxed {
    let mut relaxer = Relaxer { level, dropped: BTreeSet::new() };
    if level == Level::Json {
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
    Relaxed { schema: Document::to_schema(definitions), keywords: relaxer.into_keywords() }
}

fn collect_references(schema: &Value, open: &mut Vec<usize>) {
    for (keyword, value) in schema.as_object().into_iter().flatten() {
        if keyword == "$ref" {
            open.extend(referenced(value));
        }
        keywords::held(keyword, value).for_each(|schema| collect_references(schema, open));
    }
}

struct Relaxer {
    level: Level,
    dropped: BTreeSet<String>,
}

impl Relaxer {
    fn into_keywords(self) -> Vec<String> {
        self.dropped.into_iter().collect()
    }

    fn leave_out(&mut self, keyword: &str) {
        if !self.dropped.contains(keyword) {
            self.dropped.insert(keyword.to_owned());
        }
    }

    /// Any JSON, of the root's type if that is an object or a list.
    fn json(mut self, document: &Document) -> Relaxed {
        let mut all = document.definitions.clone();
        for schema in &mut all {
            keywords::visit_mut(schema, &mut |members| {
                members.keys().for_each(|keyword| self.leave_out(keyword))
            });
        }
        let mut root = document.definitions.first();
        // A root that is a reference has the type of what it refers to.
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
        Relaxed { schema, keywords: self.into_keywords() }
    }

    fn schema(&mut self, schema: &Value) -> Value {
        let Value::Object(members) = schema else { return schema.clone() };
        match members.get("not") {
            // Nothing is allowed.
            Some(Value::Bool(true)) => return Value::Bool(false),
            Some(Value::Object(any)) if any.is_empty() => return Value::Bool(false),
            _ => {}
        }
        let mut kept = Map::new();
        for (keyword, value) in members {
            self.keyword(keyword, value, members, &mut kept);
        }
        if self.level == Level::Outline {
            self.outline(&mut kept);
        }
        Value::Object(kept)
    }

    fn keyword(
        &mut self,
        keyword: &str,
        value: &Value,
        members: &Map<String, Value>,
        kept: &mut Map<String, Value>,
    ) {
        let exact = self.level == Level::Exact;
        let fits = match keyword {
            "$ref" | "type" | "enum" | "const" | "required" | "minItems" | "maxItems" | "minimum"
            | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" => true,
            "pattern" => exact && value.as_str().is_some_and(|pattern| pattern.len() <= PATTERN_MAX_BYTES),
            "format" => {
                if !value.as_str().is_some_and(|format| FORMATS.contains(&format)) {
                    return;
                }
                exact
            }
            "multipleOf" => exact,
            "minLength" | "maxLength" => value.as_u64().is_some_and(|length| length <= LENGTH_MAX),
            "minProperties" | "maxProperties" => exact && requires_all(members),
            "patternProperties" => exact,
            "properties" | "items" | "prefixItems" | "allOf" | "anyOf" => true,
            // Names that match a dropped pattern are allowed.
            "additionalProperties" => exact || !members.contains_key("patternProperties"),
            "oneOf" => {
                self.leave_out(keyword);
                return self.any_of(value, members, kept);
            }
            // Without schemas beside it, it says the same.
            "unevaluatedProperties" if evaluates_by_name(members) => {
                let schema = self.schema(value);
                kept.insert("additionalProperties".to_owned(), schema);
                return;
            }
            "uniqueItems" if *value == Value::Bool(false) => return,
            "then" | "else" if !members.contains_key("if") => return,
            _ => false,
        };
        if fits {
            let relaxed = self.held(keyword, value);
            kept.insert(keyword.to_owned(), relaxed);
        } else {
            self.leave_out(keyword);
        }
    }

    /// The value of a keyword, with the schemas in it relaxed.
    fn held(&mut self, keyword: &str, value: &Value) -> Value {
        match (keywords::holds(keyword), value) {
            (Some(Holds::One), schema) => self.schema(schema),
            (Some(Holds::List), Value::Array(schemas)) => {
                schemas.iter().map(|schema| self.schema(schema)).collect()
            }
            (Some(Holds::ByName), Value::Object(schemas)) => {
                schemas.iter().map(|(name, schema)| (name.clone(), self.schema(schema))).collect()
            }
            _ => value.clone(),
        }
    }

    /// Has `oneOf` accept what `anyOf` does.
    fn any_of(&mut self, value: &Value, members: &Map<String, Value>, kept: &mut Map<String, Value>) {
        let branches = self.held("oneOf", value);
        if !members.contains_key("anyOf") {
            kept.insert("anyOf".to_owned(), branches);
        } else if self.level == Level::Outline {
            // The branches of `anyOf` are enough.
        } else {
            let also = json!({"anyOf": branches});
            match kept.get_mut("allOf").and_then(Value::as_array_mut) {
                Some(all) => all.push(also),
                None => drop(kept.insert("allOf".to_owned(), json!([also]))),
            }
        }
    }

    /// Leaves one of the schemas that apply to the same value: grammars intersect them at a cost.
    fn outline(&mut self, kept: &mut Map<String, Value>) {
        let own = |kept: &Map<String, Value>| {
            ["type", "enum", "const", "properties", "items", "prefixItems"]
                .iter()
                .any(|key| kept.contains_key(*key))
        };
        for keyword in ["$ref", "anyOf", "allOf"] {
            let alone = kept.len() == 1;
            if alone || !kept.contains_key(keyword) {
                continue;
            }
            let others = own(kept)
                || ["$ref", "anyOf", "allOf"].iter().filter(|key| kept.contains_key(**key)).count() > 1;
            if others {
                kept.shift_remove(keyword);
                self.leave_out(keyword);
            }
        }
        if let Some(Value::Array(all)) = kept.get("allOf")
            && all.len() > 1
        {
            let first = all.first().cloned().unwrap_or_else(|| json!({}));
            self.leave_out("allOf");
            kept.insert("allOf".to_owned(), json!([first]));
        }
    }
}

/// Whether an object has to have each property that the schema names: only then can a grammar count its properties.
fn requires_all(members: &Map<String, Value>) -> bool {
    let required: BTreeSet<&str> = match members.get("required") {
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => BTreeSet::new(),
    };
    let properties = members.get("properties").and_then(Value::as_object);
    properties.is_none_or(|properties| properties.keys().all(|name| required.contains(name.as_str())))
}

/// Whether the properties of an object are those that this schema itself names.
fn evaluates_by_name(members: &Map<String, Value>) -> bool {
    let elsewhere = |keyword: &String| keyword == "$ref" || keywords::applies_in_place(keyword);
    !members.contains_key("additionalProperties") && !members.keys().any(elsewhere)
}

#[cfg(test)]
mod tests;
