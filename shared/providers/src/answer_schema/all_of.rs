//! Merges schemas that apply to the same value into one: no provider enforces `allOf` in general.

use serde_json::{Map, Value, json};

use super::{document::SchemaDocument, profile::SchemaProfile};

/// Largest number of combinations within each other.
const NESTED_MAX_COUNT: usize = 32;
/// Largest number of schemas that all combinations of a document have: each reference may double it.
const COMBINED_MAX_COUNT: usize = 2000;
/// Keywords that say nothing about a value.
const ANNOTATIONS: [&str; 3] = ["title", "description", "$defs"];

/// Merges the `allOf` of a schema, and the keywords beside its `$ref`; `None` if it has neither. `combined` counts the schemas of
/// all combinations of the document.
///
/// # Errors
/// The reason why the schemas can't be merged.
pub(super) fn merged(
    members: &Map<String, Value>,
    document: &SchemaDocument<'_>,
    profile: &SchemaProfile,
    combined: &mut usize,
) -> Result<Option<Map<String, Value>>, String> {
    let needs_merge = |members: &Map<String, Value>| {
        let is_constraint = |keyword: &String| keyword != "$ref" && !ANNOTATIONS.contains(&keyword.as_str());
        members.contains_key("allOf")
            || members.contains_key("$ref")
                && !profile.reference_siblings
                && members.keys().any(is_constraint)
    };
    if !needs_merge(members) {
        return Ok(None);
    }
    let mut all = Vec::new();
    flatten(members, NESTED_MAX_COUNT, combined, &mut all)?;
    if let [Part::Reference(reference)] = all.as_slice() {
        return Ok(Some(Map::from_iter([("$ref".to_owned(), reference.clone())])));
    }
    let mut sum = Map::new();
    for part in all {
        match part {
            Part::Members(part) => merge(&mut sum, &part)?,
            Part::Reference(reference) => {
                let mut target = Vec::new();
                let schema = reference.as_str().and_then(|reference| document.target(reference));
                let Some(Value::Object(schema)) = schema else {
                    return Err("combines a reference that isn't an object's".to_owned());
                };
                expand(schema, document, NESTED_MAX_COUNT, combined, &mut target)?;
                for part in target {
                    merge(&mut sum, &part)?;
                }
            }
        }
    }
    Ok(Some(sum))
}

/// A schema of a combination.
enum Part {
    Members(Map<String, Value>),
    Reference(Value),
}

/// Collects the schemas that apply to the same value. A reference alone stays one.
fn flatten(
    members: &Map<String, Value>,
    left: usize,
    combined: &mut usize,
    all: &mut Vec<Part>,
) -> Result<(), String> {
    let left = left.checked_sub(1).ok_or("combines too many schemas within each other")?;
    *combined += 1;
    if *combined > COMBINED_MAX_COUNT {
        return Err("combines too many schemas".to_owned());
    }
    let mut own = members.clone();
    let reference = own.shift_remove("$ref");
    let branches = own.shift_remove("allOf");
    let has_constraint = own.keys().any(|keyword| !ANNOTATIONS.contains(&keyword.as_str()));
    // A description beside a reference would make it more than a reference.
    if has_constraint || reference.is_none() && own.contains_key("description") {
        own.shift_remove("$defs");
        all.push(Part::Members(own));
    }
    all.extend(reference.map(Part::Reference));
    for branch in branches.as_ref().and_then(Value::as_array).into_iter().flatten() {
        match branch {
            Value::Object(branch) => flatten(branch, left, combined, all)?,
            Value::Bool(true) => {}
            _ => return Err("combines a schema that no value fits".to_owned()),
        }
    }
    Ok(())
}

/// Collects the members of a schema, of those that it refers to, and of those that it combines.
fn expand(
    members: &Map<String, Value>,
    document: &SchemaDocument<'_>,
    left: usize,
    combined: &mut usize,
    all: &mut Vec<Map<String, Value>>,
) -> Result<(), String> {
    let left = left.checked_sub(1).ok_or("combines too many schemas within each other")?;
    let mut parts = Vec::new();
    flatten(members, left, combined, &mut parts)?;
    for part in parts {
        match part {
            Part::Members(members) => all.push(members),
            Part::Reference(reference) => {
                if let Some(Value::Object(target)) = reference.as_str().and_then(|text| document.target(text))
                {
                    expand(target, document, left, combined, all)?;
                }
            }
        }
    }
    Ok(())
}

/// Adds the keywords of `part` to `sum`, so that a value fits if it fits both.
fn merge(sum: &mut Map<String, Value>, part: &Map<String, Value>) -> Result<(), String> {
    check_closed(sum, part)?;
    for (keyword, value) in part {
        let Some(present) = sum.get_mut(keyword) else {
            sum.insert(keyword.clone(), value.clone());
            continue;
        };
        if present == value || ANNOTATIONS.contains(&keyword.as_str()) {
            continue;
        }
        let both = match keyword.as_str() {
            "properties" => {
                let (Value::Object(present), Value::Object(more)) = (present, value) else { continue };
                for (name, schema) in more {
                    let combined = match present.get(name) {
                        Some(one) if one != schema => json!({"allOf": [one, schema]}),
                        _ => schema.clone(),
                    };
                    present.insert(name.clone(), combined);
                }
                continue;
            }
            "required" => union(present, value),
            "items" => Some(json!({"allOf": [present, value]})),
            "type" => common_types(present, value),
            "enum" => intersection(present, value),
            "minimum" | "exclusiveMinimum" | "minLength" | "minItems" | "minProperties" => {
                larger(present, value, true)
            }
            "maximum" | "exclusiveMaximum" | "maxLength" | "maxItems" | "maxProperties" => {
                larger(present, value, false)
            }
            "uniqueItems" => Some(Value::Bool(true)),
            _ => None,
        };
        *present = both.ok_or_else(|| format!("combines schemas whose {keyword} differ"))?;
    }
    Ok(())
}

/// Refuses closed objects beside others with more properties: an object can't be merged from them.
fn check_closed(one: &Map<String, Value>, other: &Map<String, Value>) -> Result<(), String> {
    let is_closed =
        |schema: &Map<String, Value>| schema.get("additionalProperties") == Some(&Value::Bool(false));
    let names = |schema: &Map<String, Value>| -> Vec<String> {
        let properties = schema.get("properties").and_then(Value::as_object);
        properties.map_or_else(Vec::new, |properties| properties.keys().cloned().collect())
    };
    let covers = |closed: &Map<String, Value>, other: &Map<String, Value>| {
        let known_names = names(closed);
        names(other).iter().all(|name| known_names.contains(name))
    };
    if is_closed(one) && !covers(one, other) || is_closed(other) && !covers(other, one) {
        return Err("combines objects of which one is closed".to_owned());
    }
    Ok(())
}

fn union(one: &Value, other: &Value) -> Option<Value> {
    let mut all = one.as_array()?.clone();
    for value in other.as_array()? {
        if !all.contains(value) {
            all.push(value.clone());
        }
    }
    Some(all.into())
}

fn intersection(one: &Value, other: &Value) -> Option<Value> {
    let other = other.as_array()?;
    let common: Vec<Value> = one.as_array()?.iter().filter(|value| other.contains(value)).cloned().collect();
    (!common.is_empty()).then(|| common.into())
}

fn common_types(one: &Value, other: &Value) -> Option<Value> {
    let list = |kinds: &Value| match kinds {
        Value::Array(kinds) => kinds.clone(),
        kind => vec![kind.clone()],
    };
    let (one, other) = (list(one), list(other));
    let in_other = |kind: &Value| {
        if other.contains(kind) || kind == "integer" && other.iter().any(|one| one == "number") {
            return Some(kind.clone());
        }
        (kind == "number" && other.iter().any(|one| one == "integer")).then(|| json!("integer"))
    };
    let common: Vec<Value> = one.iter().filter_map(in_other).collect();
    match <[Value; 1]>::try_from(common) {
        Ok([only]) => Some(only),
        Err(several) => (!several.is_empty()).then(|| several.into()),
    }
}

/// The larger, or the smaller, of two bounds.
fn larger(one: &Value, other: &Value, is_larger: bool) -> Option<Value> {
    let takes_other = (other.as_f64()? > one.as_f64()?) == is_larger;
    Some(if takes_other { other.clone() } else { one.clone() })
}
