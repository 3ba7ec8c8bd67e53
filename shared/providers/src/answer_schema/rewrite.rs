//! Rewrites a schema into the subset that a provider enforces.
//!
//! The answer to the rewritten schema fits the client's schema but for the keywords that moved into descriptions, which the
//! check of the answer covers. Where the rewriting changes the form of the answer, [`super::restore`] undoes it.

mod notes;
mod object;
mod types;

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use notes::Notes;
use types::{implied_type, type_of_all};

use super::{
    all_of,
    document::{self, SchemaDocument},
    profile::SchemaProfile,
};

/// Name of the property that an answer is wrapped in, where the root must be an object.
pub(super) const WRAPPER: &str = "answer";
/// Name of the definition of a wrapped root that refers to itself.
const WRAPPED_ROOT: &str = "answer";
/// Keywords of objects.
const OBJECT_KEYWORDS: [&str; 4] = ["properties", "required", "additionalProperties", "patternProperties"];
/// Largest number of schemas within each other.
const LEVELS_MAX_COUNT: usize = 100;
/// Largest number of schemas, which grows where schemas are merged.
const SCHEMAS_MAX_COUNT: usize = 20_000;

/// A rewritten schema.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rewritten {
    pub(crate) schema: Value,
    /// The answer is in a property of an object.
    pub(crate) is_wrapped: bool,
    /// Optional properties are nullable instead.
    pub(crate) has_nulls: bool,
    /// Keywords that the provider doesn't enforce, wholly or at some place.
    pub(crate) described: BTreeSet<String>,
}

/// Rewrites a normalised schema.
///
/// # Errors
/// The reason why the provider can't take it: "refers to itself", ...
pub(crate) fn rewrite(schema: &Value, profile: &SchemaProfile) -> Result<Rewritten, String> {
    let document = SchemaDocument::new(schema);
    document::check_recursion(&document, profile.recursion)?;
    let mut rewriter = Rewriter {
        profile,
        document: &document,
        has_nulls: false,
        described: BTreeSet::new(),
        counts: Counts::default(),
        level: 0,
    };
    // A root that is a reference is replaced by its target.
    let mut root = rewriter.schema(document.inlined_root(), 0)?;
    let mut definitions = Map::new();
    let mut open = document::references(&root);
    while let Some(reference) = open.pop() {
        let Some(name) = document::definition_name(&reference) else { continue };
        if let Some(definition) = document.definition(name).filter(|_| !definitions.contains_key(name)) {
            let definition = rewriter.schema(definition, 0)?;
            open.extend(document::references(&definition));
            definitions.insert(name.to_owned(), definition);
        }
    }
    rewriter.check_limits()?;
    let is_wrapped = profile.object_root && !is_plain_object(&root);
    if is_wrapped {
        if document.refers_to_root() {
            definitions.insert(WRAPPED_ROOT.to_owned(), root);
            definitions.values_mut().for_each(point_at_wrapped_root);
            root = json!({"$ref": format!("#/$defs/{WRAPPED_ROOT}")});
        }
        root = json!({
            "type": "object", "properties": {WRAPPER: root}, "required": [WRAPPER], "additionalProperties": false,
        });
    }
    if !definitions.is_empty() {
        root["$defs"] = Value::Object(definitions);
    }
    let Rewriter { has_nulls, described, .. } = rewriter;
    Ok(Rewritten { schema: root, is_wrapped, has_nulls, described })
}

/// Wraps a schema in an object, for a place that takes objects only.
pub(super) fn wrapped(schema: &Value) -> Value {
    let document = SchemaDocument::new(schema);
    let mut inner = schema.clone();
    let mut definitions = match inner.as_object_mut().and_then(|members| members.shift_remove("$defs")) {
        Some(Value::Object(definitions)) => definitions,
        _ => Map::new(),
    };
    if document.refers_to_root() {
        definitions.insert(WRAPPED_ROOT.to_owned(), inner);
        definitions.values_mut().for_each(point_at_wrapped_root);
        inner = json!({"$ref": format!("#/$defs/{WRAPPED_ROOT}")});
    }
    let mut root = json!({"type": "object", "properties": {WRAPPER: inner}, "required": [WRAPPER]});
    if !definitions.is_empty() {
        root["$defs"] = Value::Object(definitions);
    }
    root
}

/// Returns whether a root is an object, and not a union.
pub(super) fn is_plain_object(root: &Value) -> bool {
    let is_object = match root.get("type") {
        Some(kind) => kind == "object",
        None => root.get("properties").is_some(),
    };
    is_object && !["anyOf", "oneOf", "enum", "const"].iter().any(|keyword| root.get(keyword).is_some())
}

fn point_at_wrapped_root(schema: &mut Value) {
    document::visit_mut(schema, &mut |members| {
        if members.get("$ref").is_some_and(|reference| reference == "#") {
            members.insert("$ref".to_owned(), format!("#/$defs/{WRAPPED_ROOT}").into());
        }
    });
}

struct Rewriter<'a> {
    profile: &'a SchemaProfile,
    document: &'a SchemaDocument<'a>,
    has_nulls: bool,
    described: BTreeSet<String>,
    counts: Counts,
    /// Number of the schemas around the present one.
    level: usize,
}

/// The parts of a schema that a provider limits.
#[derive(Debug, Default)]
struct Counts {
    schemas: usize,
    combined: usize,
    properties: usize,
    optional_properties: usize,
    unions: usize,
    depth: usize,
    enum_values: usize,
    chars: usize,
}

impl Rewriter<'_> {
    fn check_limits(&self) -> Result<(), String> {
        let (counts, limits) = (&self.counts, &self.profile.limits);
        let exceeded = [
            ("properties", counts.properties, limits.properties),
            ("optional properties", counts.optional_properties, limits.optional_properties),
            ("unions", counts.unions, limits.unions),
            ("levels of objects", counts.depth, limits.depth),
            ("values of enumerations", counts.enum_values, limits.enum_values),
            ("characters of names and enumerations", counts.chars, limits.chars),
        ];
        match exceeded.into_iter().find(|(_, count, limit)| count > limit) {
            Some((what, count, limit)) => Err(format!("has {count} {what}, and the limit is {limit}")),
            None => Ok(()),
        }
    }

    /// Rewrites a schema at a level of objects.
    fn schema(&mut self, schema: &Value, depth: usize) -> Result<Value, String> {
        self.counts.schemas += 1;
        if self.level >= LEVELS_MAX_COUNT || self.counts.schemas > SCHEMAS_MAX_COUNT {
            return Err("is too large once its combined schemas are merged".to_owned());
        }
        self.level += 1;
        let written = self.schema_at_level(schema, depth);
        self.level -= 1;
        written
    }

    fn schema_at_level(&mut self, schema: &Value, depth: usize) -> Result<Value, String> {
        let empty = Map::new();
        let members = match schema {
            Value::Object(members) => members,
            Value::Bool(true) => &empty,
            _ => return Err("has a place that no value fits".to_owned()),
        };
        let merged = all_of::merged(members, self.document, self.profile, &mut self.counts.combined)?;
        let members = merged.as_ref().unwrap_or(members);
        if let Some(reference) = members.get("$ref") {
            return Ok(json!({"$ref": reference}));
        }
        let mut written = Map::new();
        let mut notes = Notes::default();
        self.add_type(members, &mut written)?;
        for (keyword, value) in members {
            self.keyword(keyword, value, members, depth, &mut written, &mut notes)?;
        }
        let is_untyped_object = !written.contains_key("type")
            && OBJECT_KEYWORDS.iter().any(|keyword| members.contains_key(*keyword));
        if is_object(&written) || is_untyped_object {
            self.object(members, depth, &mut written, &mut notes)?;
        }
        if self.profile.typed && is_array(&written) && !written.contains_key("items") {
            return Err("has a list whose items may be any value".to_owned());
        }
        let is_union = written.contains_key("anyOf") || matches!(written.get("type"), Some(Value::Array(_)));
        self.counts.unions += usize::from(is_union);
        self.described.extend(notes.keywords());
        notes.write(&mut written);
        Ok(Value::Object(written))
    }

    /// Adds the type, which some providers require.
    fn add_type(&self, members: &Map<String, Value>, written: &mut Map<String, Value>) -> Result<(), String> {
        if let Some(kind) = members.get("type") {
            written.insert("type".to_owned(), kind.clone());
            return Ok(());
        }
        if !self.profile.typed {
            return Ok(());
        }
        let is_union = ["anyOf", "oneOf"].iter().any(|keyword| members.contains_key(*keyword));
        match implied_type(members) {
            Some(kind) => drop(written.insert("type".to_owned(), kind)),
            None if is_union => {}
            None => return Err("has a place where any value fits".to_owned()),
        }
        Ok(())
    }

    fn keyword(
        &mut self,
        keyword: &str,
        value: &Value,
        members: &Map<String, Value>,
        depth: usize,
        written: &mut Map<String, Value>,
        notes: &mut Notes,
    ) -> Result<(), String> {
        let profile = self.profile;
        let is_enforced = match keyword {
            "$defs" | "type" | "title" | "description" => {
                if matches!(keyword, "title" | "description") {
                    written.insert(keyword.to_owned(), value.clone());
                }
                return Ok(());
            }
            // Below, with the object.
            keyword if OBJECT_KEYWORDS.contains(&keyword) => return Ok(()),
            "anyOf" => {
                let branches = self.branches(value, depth)?;
                written.insert(keyword.to_owned(), branches);
                return Ok(());
            }
            // Several branches may fit; the check of the answer finds that.
            "oneOf" if !members.contains_key("anyOf") => {
                self.described.insert(keyword.to_owned());
                let branches = self.branches(value, depth)?;
                written.insert("anyOf".to_owned(), branches);
                return Ok(());
            }
            "items" if members.contains_key("prefixItems") && !profile.has("prefixItems") => return Ok(()),
            // No further item.
            "items" if *value == Value::Bool(false) => {
                if let Some(items) = members.get("prefixItems").and_then(Value::as_array) {
                    written.entry("maxItems").or_insert_with(|| items.len().into());
                }
                self.described.insert(keyword.to_owned());
                return Ok(());
            }
            "items" => {
                let items = self.schema(value, depth)?;
                written.insert(keyword.to_owned(), items);
                return Ok(());
            }
            "prefixItems" => return self.prefix_items(value, members, depth, written, notes),
            "enum" => return self.enumeration(value, written, notes),
            "const" if profile.has(keyword) => true,
            "const" => return self.enumeration(&json!([value]), written, notes),
            "pattern" => value.as_str().is_some_and(|pattern| profile.enforces_pattern(pattern)),
            "format" => match (profile.formats, value.as_str()) {
                (None, _) => profile.has(keyword),
                (Some(formats), Some(format)) => formats.contains(&format),
                (Some(_), None) => false,
            },
            "minItems" => {
                profile.has(keyword) && value.as_u64().is_some_and(|least| least <= profile.min_items_max)
            }
            other => profile.has(other),
        };
        if is_enforced {
            written.insert(keyword.to_owned(), value.clone());
        } else {
            notes.add(keyword, value);
        }
        Ok(())
    }

    fn branches(&mut self, branches: &Value, depth: usize) -> Result<Value, String> {
        let branches = branches.as_array().map(Vec::as_slice).unwrap_or_default();
        let possible = branches.iter().filter(|branch| **branch != Value::Bool(false));
        possible.map(|branch| self.schema(branch, depth)).collect()
    }

    /// Adds a list whose items have schemas by their places. A provider without such lists gets a list of items of any of
    /// the schemas.
    fn prefix_items(
        &mut self,
        value: &Value,
        members: &Map<String, Value>,
        depth: usize,
        written: &mut Map<String, Value>,
        notes: &mut Notes,
    ) -> Result<(), String> {
        let schemas = value.as_array().map(Vec::as_slice).unwrap_or_default();
        let mut schemas =
            schemas.iter().map(|schema| self.schema(schema, depth)).collect::<Result<Vec<_>, _>>()?;
        if self.profile.has("prefixItems") {
            written.insert("prefixItems".to_owned(), schemas.into());
            return Ok(());
        }
        let length = schemas.len();
        match members.get("items") {
            Some(Value::Bool(false)) if self.profile.has("maxItems") => {
                written.entry("maxItems").or_insert_with(|| length.into());
            }
            Some(Value::Bool(false)) => notes.add("maxItems", &length.into()),
            // Further items may be anything, which the rewritten schema narrows to the schemas of the first ones.
            None | Some(Value::Bool(true)) => {}
            Some(items) => schemas.push(self.schema(items, depth)?),
        }
        notes.add("prefixItems", value);
        schemas.dedup();
        let items = match <[Value; 1]>::try_from(schemas) {
            Ok([only]) => only,
            Err(several) => json!({"anyOf": several}),
        };
        written.insert("items".to_owned(), items);
        Ok(())
    }

    fn enumeration(
        &mut self,
        values: &Value,
        written: &mut Map<String, Value>,
        notes: &mut Notes,
    ) -> Result<(), String> {
        let all = values.as_array().map(Vec::as_slice).unwrap_or_default();
        if all.iter().any(|value| value.is_object() || value.is_array()) {
            return Err("has an enumeration of objects or lists".to_owned());
        }
        self.counts.enum_values += all.len();
        self.counts.chars += all.iter().filter_map(Value::as_str).map(str::len).sum::<usize>();
        if self.profile.mixed_enums || all.iter().all(|value| value.is_string() || value.is_number()) {
            written.insert("enum".to_owned(), values.clone());
            return Ok(());
        }
        notes.add("enum", values);
        if !written.contains_key("type") {
            written.insert("type".to_owned(), type_of_all(all).ok_or("has an empty enumeration")?);
        }
        Ok(())
    }
}

fn has_type(schema: &Map<String, Value>, name: &str) -> bool {
    match schema.get("type") {
        Some(Value::String(kind)) => kind == name,
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == name),
        _ => false,
    }
}

fn is_object(schema: &Map<String, Value>) -> bool {
    has_type(schema, "object")
}

fn is_array(schema: &Map<String, Value>) -> bool {
    has_type(schema, "array")
}

#[cfg(test)]
mod tests;
