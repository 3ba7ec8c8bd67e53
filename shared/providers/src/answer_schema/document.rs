//! A normalised schema with its definitions, as [`hearth_schema::normalise`] writes it.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

use serde_json::{Map, Value};

use super::profile::Recursion;

/// Longest chain of references from a schema to another.
const CHAIN_MAX_COUNT: usize = 64;
/// Keywords whose values are data that may look like a schema.
const DATA_KEYWORDS: [&str; 4] = ["const", "enum", "default", "examples"];
/// The reference to the whole schema.
const ROOT: &str = "#";

/// A normalised schema.
pub(super) struct SchemaDocument<'a> {
    root: &'a Value,
    definitions: Option<&'a Map<String, Value>>,
    /// Results of [`Self::accepts_null`] by reference: each definition is evaluated once, however often it is referred to.
    null_results: RefCell<BTreeMap<String, bool>>,
}

impl<'a> SchemaDocument<'a> {
    pub(super) fn new(root: &'a Value) -> Self {
        let definitions = root.get("$defs").and_then(Value::as_object);
        Self { root, definitions, null_results: RefCell::default() }
    }

    /// The root, or the schema that it refers to if it is a reference and nothing else.
    pub(super) fn inlined_root(&self) -> &'a Value {
        self.resolved(self.root)
    }

    /// Follows the references of a schema that is a reference.
    pub(super) fn resolved(&self, schema: &'a Value) -> &'a Value {
        let mut schema = schema;
        for _ in 0..CHAIN_MAX_COUNT {
            match schema.get("$ref").and_then(Value::as_str).and_then(|reference| self.target(reference)) {
                Some(target) => schema = target,
                None => break,
            }
        }
        schema
    }

    pub(super) fn definition(&self, name: &str) -> Option<&'a Value> {
        self.definitions?.get(name)
    }

    pub(super) fn target(&self, reference: &str) -> Option<&'a Value> {
        if reference == ROOT {
            return Some(self.root);
        }
        self.definition(definition_name(reference)?)
    }

    /// Returns whether some schema refers to the root.
    pub(super) fn refers_to_root(&self) -> bool {
        references(self.root).iter().any(|reference| reference == ROOT)
    }

    /// Returns whether null fits a schema, as far as its outline shows.
    pub(super) fn accepts_null(&self, schema: &Value) -> bool {
        self.accepts_null_within(schema, CHAIN_MAX_COUNT)
    }

    fn accepts_null_within(&self, schema: &Value, hops: usize) -> bool {
        let members = match schema {
            Value::Object(members) => members,
            other => return *other == Value::Bool(true),
        };
        let Some(hops) = hops.checked_sub(1) else { return false };
        let accepts = |schema: &Value| self.accepts_null_within(schema, hops);
        members.iter().all(|(keyword, value)| match (keyword.as_str(), value) {
            ("type", Value::String(kind)) => kind == "null",
            ("type", Value::Array(kinds)) => kinds.iter().any(|kind| kind == "null"),
            ("enum", Value::Array(values)) => values.contains(&Value::Null),
            ("const", value) => value.is_null(),
            ("$ref", Value::String(reference)) => self.target_accepts_null(reference, hops),
            ("anyOf" | "oneOf", Value::Array(branches)) => branches.iter().any(accepts),
            ("allOf", Value::Array(branches)) => branches.iter().all(accepts),
            _ => true,
        })
    }

    fn target_accepts_null(&self, reference: &str, hops: usize) -> bool {
        let earlier = self.null_results.borrow().get(reference).copied();
        if let Some(accepts) = earlier {
            return accepts;
        }
        // False for a definition that refers to itself meanwhile.
        self.null_results.borrow_mut().insert(reference.to_owned(), false);
        let accepts = self.target(reference).is_some_and(|target| self.accepts_null_within(target, hops));
        self.null_results.borrow_mut().insert(reference.to_owned(), accepts);
        accepts
    }
}

/// The name in a reference to a definition.
pub(super) fn definition_name(reference: &str) -> Option<&str> {
    reference.strip_prefix("#/$defs/")
}

/// The references in a schema, with those of its definitions.
pub(super) fn references(schema: &Value) -> Vec<String> {
    let mut names = Vec::new();
    visit(schema, &mut |members| {
        names.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
    });
    names
}

fn visit(schema: &Value, see: &mut impl FnMut(&Map<String, Value>)) {
    match schema {
        Value::Array(items) => items.iter().for_each(|item| visit(item, see)),
        Value::Object(members) => {
            see(members);
            let schemas = members.iter().filter(|(name, _)| !DATA_KEYWORDS.contains(&name.as_str()));
            schemas.for_each(|(_, schema)| visit(schema, see));
        }
        _ => {}
    }
}

/// Calls `change` with a schema and all schemas in it.
pub(super) fn visit_mut(schema: &mut Value, change: &mut impl FnMut(&mut Map<String, Value>)) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(|item| visit_mut(item, change)),
        Value::Object(members) => {
            change(members);
            let schemas = members.iter_mut().filter(|(name, _)| !DATA_KEYWORDS.contains(&name.as_str()));
            schemas.for_each(|(_, schema)| visit_mut(schema, change));
        }
        _ => {}
    }
}

/// Checks that a schema refers to itself only as the provider supports it.
pub(super) fn check_recursion(document: &SchemaDocument<'_>, recursion: Recursion) -> Result<(), String> {
    let (skips_optional, problem) = match recursion {
        Recursion::Supported => return Ok(()),
        Recursion::OptionalOnly => (true, "refers to itself in other places than optional properties"),
        Recursion::Unsupported => (false, "refers to itself"),
    };
    let mut edges: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    let mut root_edges = BTreeSet::new();
    collect_edges(document.root, skips_optional, &mut root_edges);
    edges.insert(ROOT, root_edges);
    for (name, definition) in document.definitions.into_iter().flatten() {
        let mut targets = BTreeSet::new();
        collect_edges(definition, skips_optional, &mut targets);
        edges.insert(name, targets);
    }
    // Topological order: a definition that is left over is in a cycle.
    let mut incoming: BTreeMap<&str, usize> = edges.keys().map(|name| (*name, 0)).collect();
    for target in edges.values().flatten() {
        if let Some(count) = incoming.get_mut(target.as_str()) {
            *count += 1;
        }
    }
    let mut ready: Vec<&str> =
        incoming.iter().filter(|(_, count)| **count == 0).map(|(name, _)| *name).collect();
    let mut sorted = 0;
    while let Some(name) = ready.pop() {
        sorted += 1;
        for target in &edges[name] {
            let Some((name, count)) =
                incoming.get_key_value(target.as_str()).map(|(name, count)| (*name, *count))
            else {
                continue;
            };
            incoming.insert(name, count - 1);
            if count == 1 {
                ready.push(name);
            }
        }
    }
    if sorted == edges.len() { Ok(()) } else { Err(problem.to_owned()) }
}

/// Collects the definitions that a schema refers to. `skips_optional`: not through optional properties.
fn collect_edges(schema: &Value, skips_optional: bool, targets: &mut BTreeSet<String>) {
    let members = match schema {
        Value::Array(items) => {
            return items.iter().for_each(|item| collect_edges(item, skips_optional, targets));
        }
        Value::Object(members) => members,
        _ => return,
    };
    if let Some(reference) = members.get("$ref").and_then(Value::as_str) {
        targets.insert(definition_name(reference).unwrap_or(ROOT).to_owned());
    }
    for (keyword, value) in members {
        match (keyword.as_str(), value) {
            ("$defs", _) => {}
            (keyword, _) if DATA_KEYWORDS.contains(&keyword) => {}
            ("properties", Value::Object(properties)) => {
                let required = members.get("required").and_then(Value::as_array);
                let is_required =
                    |name: &str| required.is_some_and(|names| names.iter().any(|one| one == name));
                for (name, schema) in properties {
                    if !skips_optional || is_required(name) {
                        collect_edges(schema, skips_optional, targets);
                    }
                }
            }
            (_, value) => collect_edges(value, skips_optional, targets),
        }
    }
}
