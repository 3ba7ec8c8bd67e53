use jsonschema::Draft;

use super::{super::resolve::resolve, *};

/// Returns the relaxed root and the dropped keywords.
fn relaxed(schema: &Value, level: RelaxLevel) -> (Value, Vec<String>) {
    let document = resolve(schema, Draft::Draft202012, &[]).unwrap();
    let RelaxedSchema { schema, keywords } = relax(&document, level);
    let root = schema.get("$defs").map_or(schema.clone(), |definitions| definitions["d0"].clone());
    (root, keywords)
}

#[test]
fn inexpressible_keywords_are_dropped_and_listed() {
    for (schema, expected, dropped) in [
        (json!({"type": "string", "not": {"const": ""}}), json!({"type": "string"}), vec!["not"]),
        (json!({"not": {}}), json!(false), vec![]),
        (json!({"not": true, "type": "string"}), json!(false), vec![]),
        (
            json!({"oneOf": [{"type": "null"}, true]}),
            json!({"anyOf": [{"type": "null"}, true]}),
            vec!["oneOf"],
        ),
        (
            json!({"anyOf": [true], "oneOf": [false]}),
            json!({"anyOf": [true], "allOf": [{"anyOf": [false]}]}),
            vec!["oneOf"],
        ),
        (json!({"if": true, "then": {}, "else": {}}), json!({}), vec!["else", "if", "then"]),
        (json!({"then": {"type": "null"}}), json!({}), vec![]),
        (json!({"uniqueItems": true, "contains": {}}), json!({}), vec!["contains", "uniqueItems"]),
        (json!({"uniqueItems": false}), json!({}), vec![]),
        (json!({"format": "ipv4"}), json!({"format": "ipv4"}), vec![]),
        (json!({"format": "semver"}), json!({}), vec![]),
        (json!({"minLength": 3, "maxLength": 100_000}), json!({"minLength": 3}), vec!["maxLength"]),
        (json!({"minimum": i64::MIN, "maximum": 5}), json!({"maximum": 5}), vec!["minimum"]),
        (json!({"maximum": 1e300, "minimum": 0}), json!({"minimum": 0}), vec!["maximum"]),
        (json!({"exclusiveMinimum": 5e-324}), json!({}), vec!["exclusiveMinimum"]),
        (
            json!({"items": {"pattern": "^(?!x)"}, "contains": true, "pattern": "^(?<a>b)$"}),
            json!({"items": {}, "pattern": "^(?<a>b)$"}),
            vec!["contains", "pattern"],
        ),
        // A name that matches the pattern must stay allowed.
        (
            json!({"patternProperties": {"^(?=a)": true}, "additionalProperties": false}),
            json!({}),
            vec!["additionalProperties", "patternProperties"],
        ),
        (
            json!({"patternProperties": {"^(?=a)": true}, "unevaluatedProperties": false}),
            json!({}),
            vec!["patternProperties", "unevaluatedProperties"],
        ),
        (json!({"multipleOf": 10_000}), json!({"multipleOf": 10_000}), vec![]),
        (json!({"multipleOf": 0.001}), json!({"multipleOf": 0.001}), vec![]),
        (json!({"multipleOf": 10_007}), json!({}), vec!["multipleOf"]),
        (json!({"multipleOf": 999.983}), json!({}), vec!["multipleOf"]),
        (json!({"multipleOf": 1e-9}), json!({}), vec!["multipleOf"]),
        (
            json!({"properties": {"a": true}, "minProperties": 2}),
            json!({"properties": {"a": true}}),
            vec!["minProperties"],
        ),
        (
            json!({"properties": {"a": true}, "required": ["a"], "minProperties": 2}),
            json!({"properties": {"a": true}, "required": ["a"], "minProperties": 2}),
            vec![],
        ),
        (
            json!({"properties": {"a": true}, "unevaluatedProperties": false}),
            json!({"properties": {"a": true}, "additionalProperties": false}),
            vec![],
        ),
        (
            json!({"allOf": [{"properties": {"a": true}}], "unevaluatedProperties": false}),
            json!({"allOf": [{"properties": {"a": true}}]}),
            vec!["unevaluatedProperties"],
        ),
        (json!({"title": "T", "x-more": 1, "$comment": "c"}), json!({}), vec![]),
    ] {
        assert_eq!(
            relaxed(&schema, RelaxLevel::Exact),
            (expected, dropped.into_iter().map(String::from).collect())
        );
    }
}

#[test]
fn each_level_drops_more() {
    let schema = json!({
        "type": "object",
        "properties": {"a": {"type": "string", "pattern": "a"}},
        "patternProperties": {"^x": true},
        "additionalProperties": false,
        "allOf": [{"required": ["a"]}],
    });
    let (exact, dropped) = relaxed(&schema, RelaxLevel::Exact);
    assert_eq!((exact, dropped), (schema.clone(), vec![]));
    let (without, dropped) = relaxed(&schema, RelaxLevel::NoPatterns);
    let properties = json!({"a": {"type": "string"}});
    let expected = json!({"type": "object", "properties": properties, "allOf": [{"required": ["a"]}]});
    assert_eq!(without, expected);
    assert_eq!(dropped, ["additionalProperties", "pattern", "patternProperties"]);
    let (outline, dropped) = relaxed(&schema, RelaxLevel::Outline);
    assert_eq!(outline, json!({"type": "object", "properties": properties}));
    assert!(dropped.contains(&"allOf".to_owned()));
    assert_eq!(relaxed(&schema, RelaxLevel::Json).0, json!({"type": "object"}));
}

#[test]
fn only_reachable_definitions_are_relaxed() {
    let schema = json!({
        "properties": {"a": {"$ref": "#/$defs/used"}},
        "not": {"$ref": "#/$defs/dropped"},
        "$defs": {"used": {"uniqueItems": true}, "dropped": {"contains": {}}},
    });
    assert_eq!(relaxed(&schema, RelaxLevel::Exact).1, ["not", "uniqueItems"]);
}
