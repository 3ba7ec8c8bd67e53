//! An edited schema narrows the built one: the values that it allows for a parameter must be values of this parameter.

use hearth_schema::AnswerSchema;
use serde_json::{Map, Value};

use super::build;

/// Types of JSON, with those that each includes.
static TYPES: [(&str, &[&str]); 7] = [
    ("integer", &["integer"]),
    ("number", &["integer", "number"]),
    ("string", &["string"]),
    ("boolean", &["boolean"]),
    ("array", &["array"]),
    ("object", &["object"]),
    ("null", &["null"]),
];

/// Refuses properties that no value of their parameter can fit. A property that is `false` forbids its parameter.
///
/// # Errors
/// The problem; its subject is the schema.
pub(super) fn check(properties: &Map<String, Value>) -> Result<(), String> {
    let built = build::schema(None);
    for (name, property) in properties {
        let Some(built) = built["properties"].get(name) else { continue };
        let allowed = types_of(built);
        let wanted = types_of(property);
        if !allowed.is_empty() && !wanted.is_empty() && !wanted.iter().any(|kind| allowed.contains(kind)) {
            let (wanted, allowed) = (names_of(property), names_of(built));
            return Err(format!(
                "has the property {name:?} with the type {wanted}: the parameter's is {allowed}"
            ));
        }
        check_values(name, property, built)?;
        check_bounds(name, property, built)?;
    }
    Ok(())
}

/// Refuses a list of values none of which the parameter may have.
fn check_values(name: &str, property: &Value, built: &Value) -> Result<(), String> {
    let values: Vec<&Value> = match (property.get("const"), property.get("enum").and_then(Value::as_array)) {
        (Some(value), _) => vec![value],
        (None, Some(values)) => values.iter().collect(),
        (None, None) => return Ok(()),
    };
    let checker = AnswerSchema::parse(built)?.checker()?;
    match values.into_iter().any(|value| checker.check_value(value.clone()).valid) {
        true => Ok(()),
        false => Err(format!("has the property {name:?} with values that the parameter can't have")),
    }
}

/// Refuses a range outside of the parameter's.
fn check_bounds(name: &str, property: &Value, built: &Value) -> Result<(), String> {
    let bound = |schema: &Value, names: [&str; 2]| {
        names.into_iter().find_map(|name| schema.get(name).and_then(Value::as_f64))
    };
    let (min, max) = (["minimum", "exclusiveMinimum"], ["maximum", "exclusiveMaximum"]);
    let is_below = bound(property, max).zip(bound(built, min)).is_some_and(|(max, min)| max < min);
    let is_above = bound(property, min).zip(bound(built, max)).is_some_and(|(min, max)| min > max);
    if is_below || is_above {
        return Err(format!("has the property {name:?} with bounds outside of the parameter's range"));
    }
    Ok(())
}

/// The types of a schema's values, each with those that it includes; none if it doesn't name them.
fn types_of(schema: &Value) -> Vec<&'static str> {
    let included = |name: &str| {
        let kind = TYPES.iter().find(|(kind, _)| *kind == name);
        kind.into_iter().flat_map(|(_, included)| included.iter().copied())
    };
    named_types(schema).into_iter().flat_map(included).collect()
}

/// The types that a schema names, or its alternatives.
fn named_types(schema: &Value) -> Vec<&str> {
    match (&schema["type"], schema["anyOf"].as_array()) {
        (Value::String(kind), _) => vec![kind],
        (Value::Array(kinds), _) => kinds.iter().filter_map(Value::as_str).collect(),
        (_, Some(alternatives)) => {
            let kinds: Vec<_> = alternatives.iter().map(named_types).collect();
            // An alternative without a type has any.
            if kinds.iter().any(Vec::is_empty) { Vec::new() } else { kinds.concat() }
        }
        _ => Vec::new(),
    }
}

fn names_of(schema: &Value) -> String {
    named_types(schema).join(" or ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn property_that_no_value_of_its_parameter_fits_is_refused() {
        let check = |name: &str, property: Value| check(&Map::from_iter([(name.to_owned(), property)]));
        for (name, property) in [
            ("temperature", json!({"type": "string"})),
            ("temperature", json!({"type": ["string", "null"]})),
            ("temperature", json!({"anyOf": [{"type": "string"}, {"type": "boolean"}]})),
            ("temperature", json!({"enum": ["hot", 3]})),
            ("temperature", json!({"minimum": 5})),
            ("max_tokens", json!({"maximum": 0})),
            ("max_tokens", json!({"type": "string"})),
            ("max_tokens", json!({"const": 1.5})),
            ("stop", json!({"type": "object"})),
        ] {
            let problem = check(name, property.clone()).unwrap_err();
            assert!(problem.contains(name), "{property}: {problem}");
        }
        for (name, property) in [
            ("temperature", json!({"type": "integer", "maximum": 1})),
            ("temperature", json!({"enum": [0, 0.5, 3]})),
            ("temperature", json!(false)),
            ("temperature", json!({})),
            ("max_tokens", json!({"type": "number"})),
            ("stop", json!({"type": "string"})),
            ("stop", json!({"type": ["array", "null"]})),
        ] {
            check(name, property.clone()).unwrap_or_else(|problem| panic!("{property}: {problem}"));
        }
    }
}
