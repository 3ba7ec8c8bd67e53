//! Rewrites a schema of any draft to one document of draft 2020-12.
//!
//! Each target of a reference becomes an entry of `$defs`. Identifiers, anchors, annotations and unreferenced schemas are
//! dropped. References to other documents are refused, except to the meta-schemas of the drafts, which are built in.

use std::collections::{HashMap, VecDeque};

use jsonschema::Draft;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Number, Value, json};
use url::Url;

use super::{
    built_in,
    document::{self, Document},
    draft::{keeps_siblings, named_draft},
    keywords::{self, SubschemaForm},
    pattern,
};

/// Largest number of reference targets.
const DEFINITIONS_MAX_COUNT: usize = 1000;
/// Base URI of a schema without an identifier.
const BASE: &str = "json-schema:///";

/// Resolves the references of `schema`, which is valid in `draft`. `annotations`: the annotations that are kept.
///
/// # Errors
/// A reference without a target or to another document, or an exceeded limit.
pub(super) fn resolve(
    schema: &Value,
    draft: Draft,
    annotations: &'static [&'static str],
) -> Result<Document, String> {
    let base = Url::parse(BASE).map_err(|error| error.to_string())?;
    let mut resolver = Resolver { annotations, ..Resolver::default() };
    resolver.index(schema, &base, draft);
    resolver.definition_number(SchemaAt { schema, base, draft })?;
    let mut definitions = Vec::new();
    while let Some(source) = resolver.queue.pop_front() {
        definitions.push(resolver.rewrite(&source)?);
    }
    let document = Document { definitions };
    document.check_limits()?;
    Ok(document)
}

/// A schema, with the base URI of its references.
#[derive(Clone)]
struct SchemaAt<'a> {
    schema: &'a Value,
    base: Url,
    draft: Draft,
}

#[derive(Default)]
struct Resolver<'a> {
    /// Documents and schemas with an identifier, by their URI.
    resources: HashMap<Url, SchemaAt<'a>>,
    /// Schemas with an anchor, by the URI of their resource and the anchor's name.
    anchors: HashMap<(Url, String), SchemaAt<'a>>,
    dynamic_anchors: HashMap<String, Vec<SchemaAt<'a>>>,
    /// Numbers of the definitions, by the memory address of the schema.
    numbers: HashMap<*const Value, usize>,
    queue: VecDeque<SchemaAt<'a>>,
    /// The annotations that are kept.
    annotations: &'static [&'static str],
}

impl<'a> Resolver<'a> {
    /// Collects the identifiers and anchors in `schema`.
    fn index(&mut self, schema: &'a Value, base: &Url, draft: Draft) {
        let resource = SchemaAt { schema, base: own_base(schema, base, draft), draft };
        self.resources.entry(without_fragment(base)).or_insert(resource);
        self.index_schema(schema, base, draft);
    }

    fn index_schema(&mut self, schema: &'a Value, base: &Url, draft: Draft) {
        let Value::Object(members) = schema else { return };
        let base = own_base(schema, base, draft);
        let located = SchemaAt { schema, base: base.clone(), draft };
        if identifier(schema, draft).is_some() {
            self.resources.entry(without_fragment(&base)).or_insert_with(|| located.clone());
        }
        if let Some(name) = identifier(schema, draft).and_then(|id| id.strip_prefix('#')) {
            self.anchors.insert((without_fragment(&base), name.to_owned()), located.clone());
        }
        if keeps_siblings(draft) {
            for keyword in ["$anchor", "$dynamicAnchor"] {
                if let Some(name) = members.get(keyword).and_then(Value::as_str) {
                    self.anchors.insert((without_fragment(&base), name.to_owned()), located.clone());
                }
            }
            if let Some(name) = members.get("$dynamicAnchor").and_then(Value::as_str) {
                self.dynamic_anchors.entry(name.to_owned()).or_default().push(located);
            }
        }
        for (keyword, value) in members {
            match (keyword.as_str(), value) {
                ("items", Value::Array(schemas)) => {
                    schemas.iter().for_each(|schema| self.index_schema(schema, &base, draft));
                }
                ("$defs" | "definitions" | "dependencies", Value::Object(schemas)) => {
                    schemas.values().for_each(|schema| self.index_schema(schema, &base, draft));
                }
                ("additionalItems", schema) => self.index_schema(schema, &base, draft),
                (keyword, value) => {
                    keywords::subschemas(keyword, value)
                        .for_each(|schema| self.index_schema(schema, &base, draft));
                }
            }
        }
    }

    /// Returns the number of the definition of `target`, and queues it if it is new.
    fn definition_number(&mut self, target: SchemaAt<'a>) -> Result<usize, String> {
        let address = std::ptr::from_ref(target.schema);
        if let Some(number) = self.numbers.get(&address) {
            return Ok(*number);
        }
        let number = self.numbers.len();
        if number >= DEFINITIONS_MAX_COUNT {
            return Err(format!("may refer to at most {DEFINITIONS_MAX_COUNT} schemas"));
        }
        self.numbers.insert(address, number);
        self.queue.push_back(target);
        Ok(number)
    }

    /// Rewrites a schema to draft 2020-12.
    fn rewrite(&mut self, source: &SchemaAt<'a>) -> Result<Value, String> {
        let members = match source.schema {
            Value::Object(members) => members,
            Value::Bool(any) => return Ok(Value::Bool(*any)),
            other => return Err(format!("has a reference to {other}, which isn't a schema")),
        };
        let draft = source.draft;
        let base = own_base(source.schema, &source.base, draft);
        let mut written = Map::new();
        if let Some(reference) = members.get("$ref").and_then(Value::as_str) {
            let number = self.target(reference, &base)?;
            written.insert("$ref".to_owned(), document::reference(number).into());
            if !keeps_siblings(draft) {
                return Ok(Value::Object(written));
            }
        }
        for keyword in ["$recursiveRef", "$dynamicRef"] {
            let Some(reference) = members.get(keyword).and_then(Value::as_str) else { continue };
            let number = self.dynamic_target(reference, &base)?;
            let also = json!([{"$ref": document::reference(number)}]);
            match written.get_mut("allOf").and_then(Value::as_array_mut) {
                Some(all) => all.extend(also.as_array().cloned().unwrap_or_default()),
                None => drop(written.insert("allOf".to_owned(), also)),
            }
        }
        for (keyword, value) in members {
            self.rewrite_keyword(keyword, value, members, &base, draft, &mut written)?;
        }
        Ok(Value::Object(written))
    }

    fn rewrite_keyword(
        &mut self,
        keyword: &str,
        value: &'a Value,
        members: &'a Map<String, Value>,
        base: &Url,
        draft: Draft,
        written: &mut Map<String, Value>,
    ) -> Result<(), String> {
        if self.annotations.contains(&keyword) {
            written.insert(keyword.to_owned(), value.clone());
            return Ok(());
        }
        if !is_constraint(keyword, draft) {
            return Ok(());
        }
        let mut rewrite = |schema: &'a Value| self.rewrite(&SchemaAt { schema, base: base.clone(), draft });
        let (name, value) = match (keyword, value) {
            // In draft 4 the value is a flag that excludes `minimum` itself.
            ("exclusiveMinimum" | "exclusiveMaximum", Value::Bool(excluded)) => {
                let limit = if keyword == "exclusiveMinimum" { "minimum" } else { "maximum" };
                let Some(limit) = members.get(limit).filter(|_| *excluded) else { return Ok(()) };
                (keyword, limit.clone())
            }
            ("items", Value::Array(schemas)) => {
                let schemas: Result<Vec<Value>, String> = schemas.iter().map(rewrite).collect();
                ("prefixItems", schemas?.into())
            }
            ("additionalItems", schema) if members.get("items").is_some_and(Value::is_array) => {
                ("items", rewrite(schema)?)
            }
            ("additionalItems", _) => return Ok(()),
            ("dependencies", Value::Object(dependencies)) => {
                let (mut required, mut schemas) = (Map::new(), Map::new());
                for (name, dependency) in dependencies {
                    match dependency {
                        Value::Array(_) => drop(required.insert(name.clone(), dependency.clone())),
                        schema => drop(schemas.insert(name.clone(), rewrite(schema)?)),
                    }
                }
                if !required.is_empty() {
                    written.insert("dependentRequired".to_owned(), required.into());
                }
                if schemas.is_empty() {
                    return Ok(());
                }
                ("dependentSchemas", schemas.into())
            }
            ("pattern", Value::String(pattern)) => (keyword, pattern::portable(pattern).into()),
            ("patternProperties", Value::Object(schemas)) => {
                let mut portable = Map::new();
                for (name, schema) in schemas {
                    let schema = rewrite(schema)?;
                    // Two spellings of a pattern become equal.
                    let both = |other: Value| json!({"allOf": [other, schema]});
                    let name = pattern::portable(name);
                    let schema = portable.remove(&name).map_or_else(|| schema.clone(), both);
                    portable.insert(name, schema);
                }
                (keyword, portable.into())
            }
            // A count may be written as 2.0.
            (
                "minItems" | "maxItems" | "minLength" | "maxLength" | "minProperties" | "maxProperties"
                | "minContains" | "maxContains",
                Value::Number(count),
            ) => (keyword, integer(count).map_or_else(|| value.clone(), Value::from)),
            (keyword, value) => match (keywords::subschema_form(keyword), value) {
                (Some(SubschemaForm::One), schema) => (keyword, rewrite(schema)?),
                (Some(SubschemaForm::List), Value::Array(schemas)) => {
                    let schemas: Result<Vec<Value>, String> = schemas.iter().map(rewrite).collect();
                    (keyword, schemas?.into())
                }
                (Some(SubschemaForm::ByName), Value::Object(schemas)) => {
                    let named = schemas.iter().map(|(name, schema)| Ok((name.clone(), rewrite(schema)?)));
                    let schemas: Result<Map<String, Value>, String> = named.collect();
                    (keyword, schemas?.into())
                }
                _ => (keyword, value.clone()),
            },
        };
        match (written.get_mut(name), value) {
            // From a `$dynamicRef`.
            (Some(Value::Array(all)), Value::Array(more)) if name == "allOf" => all.extend(more),
            (_, value) => drop(written.insert(name.to_owned(), value)),
        }
        Ok(())
    }

    /// Returns the number of the target of a `$recursiveRef` or `$dynamicRef`. A single document whose resources don't extend
    /// each other has one possible target.
    fn dynamic_target(&mut self, reference: &str, base: &Url) -> Result<usize, String> {
        let name = reference.strip_prefix('#').unwrap_or_default();
        let targets = self.dynamic_anchors.get(name).cloned().unwrap_or_default();
        match targets.as_slice() {
            [only] => self.definition_number(only.clone()),
            // The vocabularies of a meta-schema extend each other; the target is the whole meta-schema.
            [first, ..] if named_draft(first.base.as_str()).is_some() => {
                let root = named_draft(base.as_str()).and_then(|_| {
                    let uri = Url::parse("https://json-schema.org/draft/2020-12/schema").ok()?;
                    self.resources.get(&uri).cloned()
                });
                self.definition_number(root.unwrap_or_else(|| first.clone()))
            }
            [_, _, ..] => {
                Err(format!("has several schemas with the $dynamicAnchor {name:?}; use $ref instead"))
            }
            [] => self.target(reference, base),
        }
    }

    /// Returns the number of the target of `reference`.
    fn target(&mut self, reference: &str, base: &Url) -> Result<usize, String> {
        let missing =
            || format!("refers to {reference:?}, which doesn't exist; put that schema into its $defs");
        let outside = || {
            format!(
                "refers to {reference:?}, which is another document; put that schema into its $defs and refer to \
                 \"#/$defs/name\""
            )
        };
        let uri = base.join(reference).map_err(|_| missing())?;
        let resource = without_fragment(&uri);
        if !self.resources.contains_key(&resource) && !self.add_built_in(&resource) {
            return Err(outside());
        }
        let root = self.resources.get(&resource).cloned().ok_or_else(outside)?;
        let fragment =
            percent_decode_str(uri.fragment().unwrap_or_default()).decode_utf8_lossy().into_owned();
        let target = if fragment.is_empty() {
            Some(root)
        } else if fragment.starts_with('/') {
            at_pointer(&root, &fragment)
        } else {
            self.anchors.get(&(resource, fragment)).cloned()
        };
        self.definition_number(target.ok_or_else(missing)?)
    }

    /// Adds the built-in meta-schema with this URI; returns false if there is none.
    fn add_built_in(&mut self, uri: &Url) -> bool {
        let Some((schema, draft)) = built_in::meta_schema(uri.as_str()) else { return false };
        self.index(schema, uri, draft);
        true
    }
}

/// Returns a count as an integer, also if it is written with a fraction of zero.
fn integer(count: &Number) -> Option<u64> {
    /// Integers below are exact in a number with a fraction.
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    count.as_u64().or_else(|| {
        let whole =
            count.as_f64().filter(|count| count.fract() == 0.0 && (0.0..EXACT_MAX).contains(count))?;
        format!("{whole:.0}").parse().ok()
    })
}

/// Returns the identifier of a schema.
fn identifier(schema: &Value, draft: Draft) -> Option<&str> {
    let keyword = if draft == Draft::Draft4 { "id" } else { "$id" };
    // Before 2019-09, keywords beside `$ref` are ignored.
    let ignored = !keeps_siblings(draft) && schema.get("$ref").is_some();
    schema.get(keyword).and_then(Value::as_str).filter(|_| !ignored)
}

/// Returns the base URI of the references in `schema`.
fn own_base(schema: &Value, base: &Url, draft: Draft) -> Url {
    let joined = identifier(schema, draft).and_then(|id| base.join(id).ok());
    joined.map_or_else(|| base.clone(), |uri| without_fragment(&uri))
}

fn without_fragment(uri: &Url) -> Url {
    let mut uri = uri.clone();
    uri.set_fragment(None);
    uri
}

/// Returns the schema at a JSON pointer below `root`.
fn at_pointer<'a>(root: &SchemaAt<'a>, pointer: &str) -> Option<SchemaAt<'a>> {
    let mut target = root.clone();
    for part in pointer.split('/').skip(1) {
        let part = part.replace("~1", "/").replace("~0", "~");
        target.schema = match target.schema {
            Value::Object(members) => members.get(&part)?,
            Value::Array(items) => items.get(part.parse::<usize>().ok()?)?,
            _ => return None,
        };
        target.base = own_base(target.schema, &target.base, target.draft);
    }
    Some(target)
}

/// Returns whether a keyword, other than a reference, constrains values in `draft`.
fn is_constraint(keyword: &str, draft: Draft) -> bool {
    match keyword {
        "type"
        | "enum"
        | "multipleOf"
        | "maximum"
        | "exclusiveMaximum"
        | "minimum"
        | "exclusiveMinimum"
        | "maxLength"
        | "minLength"
        | "pattern"
        | "items"
        | "maxItems"
        | "minItems"
        | "uniqueItems"
        | "maxProperties"
        | "minProperties"
        | "required"
        | "properties"
        | "patternProperties"
        | "additionalProperties"
        | "allOf"
        | "anyOf"
        | "oneOf"
        | "not"
        | "format"
        | "dependencies"
        | "additionalItems" => true,
        "const" | "contains" | "propertyNames" => draft != Draft::Draft4,
        "if" | "then" | "else" => !matches!(draft, Draft::Draft4 | Draft::Draft6),
        "dependentRequired"
        | "dependentSchemas"
        | "minContains"
        | "maxContains"
        | "unevaluatedItems"
        | "unevaluatedProperties" => keeps_siblings(draft),
        "prefixItems" => draft == Draft::Draft202012,
        _ => false,
    }
}

#[cfg(test)]
mod tests;
