use proptest::prelude::*;
use serde_json::json;

use super::*;
use hearth_schema::AnswerSchema;

fn compared(before: Value, after: Value) -> Comparison {
    compare(&Content::Schema(before), &Content::Schema(after))
}

#[expect(clippy::needless_pass_by_value, reason = "reads better where it is called")]
fn object(properties: Value, required: Value) -> Value {
    json!({"type": "object", "properties": properties, "required": required})
}

#[test]
fn equal_schemas_have_no_change_and_descriptions_are_a_patch() {
    let schema = object(json!({"a": {"type": "string"}}), json!(["a"]));
    assert_eq!(compared(schema.clone(), schema.clone()).change, None);
    let mut described = schema.clone();
    described["properties"]["a"]["description"] = json!("The name");
    described["title"] = json!("A thing");
    described["examples"] = json!([{"a": "x"}]);
    let comparison = compared(schema, described);
    assert_eq!((comparison.change, comparison.breaking.len()), (Some(VersionChange::Patch), 0));
}

#[test]
fn compatible_changes_are_minor() {
    let text = json!({"type": "string", "maxLength": 5});
    for (before, after) in [
        (object(json!({"a": text}), json!(["a"])), object(json!({"a": text}), json!([]))),
        (object(json!({"a": text}), json!([])), object(json!({"a": text, "b": {}}), json!([]))),
        (json!({"type": "integer"}), json!({"type": "number"})),
        (json!({"type": "string"}), json!({"type": ["string", "null"]})),
        (json!({"enum": [1, 2]}), json!({"enum": [2, 1, 3]})),
        (json!({"const": 1}), json!({"enum": [1, 2]})),
        (text.clone(), json!({"type": "string", "maxLength": 6})),
        (text.clone(), json!({"type": "string"})),
        (json!({"minimum": 3}), json!({"minimum": 2})),
        (json!({"uniqueItems": true}), json!({"uniqueItems": false})),
        (json!({"multipleOf": 4}), json!({"multipleOf": 2})),
        (json!({"pattern": "a"}), json!({})),
        (json!({"anyOf": [{"type": "string"}]}), json!({"anyOf": [{"type": "string"}, {"type": "null"}]})),
        (
            json!({"type": "array", "items": {"type": "integer"}}),
            json!({"type": "array", "items": {"type": "number"}}),
        ),
        (json!({"type": "array", "items": {"type": "integer"}}), json!({"type": "array"})),
        (json!({"additionalProperties": false}), json!({"additionalProperties": true})),
        (json!({"type": "string", "minLength": 0}), json!({"type": "string"})),
    ] {
        let comparison = compared(before.clone(), after.clone());
        assert_eq!(comparison.change, Some(VersionChange::Minor), "{before} -> {after}: {comparison:?}");
        assert!(comparison.breaking.is_empty(), "{before} -> {after}: {comparison:?}");
    }
}

#[test]
fn changes_that_earlier_answers_may_not_satisfy_are_major_with_their_places() {
    for (before, after, path) in [
        (object(json!({"a": {}}), json!([])), object(json!({"a": {}}), json!(["a"])), "/required"),
        (json!({"type": ["string", "null"]}), json!({"type": "string"}), ""),
        (json!({"type": "number"}), json!({"type": "integer"}), ""),
        (json!({}), json!({"type": "string"}), ""),
        (json!({"enum": [1, 2]}), json!({"enum": [1]}), ""),
        (json!({"enum": [1, 2]}), json!({"const": 1}), ""),
        (json!({"type": "string"}), json!({"enum": ["a"]}), ""),
        (json!({"maximum": 5}), json!({"maximum": 4}), "/maximum"),
        (json!({}), json!({"minLength": 1}), "/minLength"),
        (json!({"multipleOf": 2}), json!({"multipleOf": 3}), "/multipleOf"),
        (json!({"pattern": "a"}), json!({"pattern": "b"}), "/pattern"),
        (json!({}), json!({"uniqueItems": true}), "/uniqueItems"),
        (
            json!({"properties": {"a": {}}, "additionalProperties": false}),
            json!({"properties": {"b": {}}, "additionalProperties": false}),
            "/properties",
        ),
        (
            json!({"additionalProperties": true}),
            json!({"additionalProperties": false}),
            "/additionalProperties",
        ),
        (json!({"items": {"type": "string"}}), json!({"items": {"type": "integer"}}), "/items"),
        (json!({"prefixItems": [{}, {}]}), json!({"prefixItems": [{}, {"type": "null"}]}), "/prefixItems/1"),
        (json!({"prefixItems": [{}, {}], "items": {}}), json!({"items": {"type": "null"}}), "/items"),
        (
            json!({"anyOf": [{"type": "string"}, {"type": "null"}]}),
            json!({"anyOf": [{"type": "string"}]}),
            "/anyOf",
        ),
        (json!({"allOf": [{}]}), json!({"allOf": [{}, {"type": "string"}]}), "/allOf"),
        (json!({"not": {"const": 1}}), json!({"not": {"const": 2}}), "/not"),
        (json!({}), json!({"if": {}, "then": {}}), "/if"),
        (
            object(json!({"a": object(json!({"b": {"type": "string"}}), json!([]))}), json!([])),
            object(json!({"a": object(json!({"b": {"type": "null"}}), json!([]))}), json!([])),
            "/properties/a/properties/b",
        ),
        (json!({"type": "string"}), json!(false), ""),
    ] {
        let comparison = compared(before.clone(), after.clone());
        assert_eq!(comparison.change, Some(VersionChange::Major), "{before} -> {after}");
        let paths: Vec<_> = comparison.breaking.iter().map(|finding| finding.path.as_str()).collect();
        assert!(paths.contains(&path), "{before} -> {after}: {comparison:?}");
    }
}

#[test]
fn references_are_followed_and_recursive_schemas_end() {
    let tree = |kind: &str| {
        json!({
            "$ref": "#/$defs/node",
            "$defs": {"node": {
                "type": "object",
                "properties": {"value": {"type": kind}, "children": {"type": "array", "items": {"$ref": "#/$defs/node"}}},
            }},
        })
    };
    let comparison = compared(tree("integer"), tree("number"));
    assert_eq!(
        (comparison.change, comparison.breaking.len()),
        (Some(VersionChange::Minor), 0),
        "{comparison:?}"
    );
    let comparison = compared(tree("number"), tree("string"));
    assert_eq!(comparison.breaking.len(), 1, "{comparison:?}");
    assert_eq!(comparison.breaking[0].path, "/properties/value");
    // A definition in place of its reference is the same schema.
    let inline = json!({"properties": {"a": {"type": "string"}}});
    let named = json!({"properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"type": "string"}}});
    assert!(compared(inline.clone(), named.clone()).breaking.is_empty());
    assert!(compared(named, inline).breaking.is_empty());
    let changed =
        |kind: &str| json!({"properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"type": kind}}});
    assert_eq!(compared(changed("string"), changed("null")).breaking.len(), 1);
}

#[test]
fn definition_that_refers_to_itself_twice_is_compared_once() {
    let next = json!({"$ref": "#/$defs/d"});
    let plain = json!({"type": "array"});
    let recursive = |rest: Value| {
        let mut definition = json!({"prefixItems": [next, next]});
        definition["maxItems"] = rest;
        json!({"type": "array", "prefixItems": [next], "$defs": {"d": definition}})
    };
    assert_eq!(compared(plain.clone(), recursive(json!(3))).breaking.len(), 1);
    assert!(compared(recursive(json!(3)), plain).breaking.is_empty());
}

#[test]
fn comparison_of_large_schemas_takes_little_time() {
    let began = std::time::Instant::now();
    // Each property has a list of alternatives that refers to the definitions.
    let alternatives = |title: &str| {
        let of_property =
            |n: usize| (format!("p{n}"), json!({"title": title, "oneOf": [{"$ref": "#/$defs/d"}]}));
        let properties: serde_json::Map<String, Value> = (0..2_500).map(of_property).collect();
        json!({"properties": properties, "$defs": {"d": {"type": "string"}}})
    };
    let comparison = compared(alternatives("before"), alternatives("after"));
    assert_eq!((comparison.change, comparison.breaking.len()), (Some(VersionChange::Patch), 0));
    let values = |shift: usize| json!({"enum": (shift..shift + 15_000).collect::<Vec<_>>()});
    assert_eq!(compared(values(0), values(1)).breaking.len(), 1);
    let lists = |count: usize| json!({"anyOf": (0..count).map(|n| json!({"const": n})).collect::<Vec<_>>()});
    assert!(compared(lists(6_000), lists(6_001)).breaking.is_empty());
    assert!(began.elapsed() < std::time::Duration::from_secs(5), "{:?}", began.elapsed());
}

#[test]
fn new_optional_property_and_format_are_warnings() {
    let comparison = compared(
        object(json!({"a": {}}), json!([])),
        object(json!({"a": {"format": "date"}, "b": {"type": "string"}}), json!([])),
    );
    assert_eq!((comparison.breaking.len(), comparison.warnings.len()), (0, 2), "{comparison:?}");
}

/// Small schemas, and values for them.
fn small_schema() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!({})),
        Just(json!({"type": "string"})),
        Just(json!({"type": ["string", "null"]})),
        Just(json!({"enum": ["a", 1, null]})),
        Just(json!({"const": 1})),
        (0..4_i64, 0..4_i64)
            .prop_map(|(low, more)| json!({"type": "integer", "minimum": low, "maximum": low + more})),
        (0..3_u32).prop_map(|length| json!({"type": "string", "maxLength": length})),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone(), any::<bool>(), any::<bool>()).prop_map(|(a, b, required, open)| {
                let required = if required { json!(["a"]) } else { json!([]) };
                json!({"type": "object", "properties": {"a": a, "b": b}, "required": required, "additionalProperties": open})
            }),
            (inner.clone(), 0..3_u32).prop_map(|(items, least)| json!({"type": "array", "items": items, "minItems": least})),
            (inner.clone(), inner).prop_map(|(one, other)| json!({"anyOf": [one, other]})),
        ]
    })
}

fn small_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        (0..8_i64).prop_map(|number| json!(number)),
        "[ab]{0,3}".prop_map(|text| json!(text)),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| json!({"a": a, "b": b})),
            inner.prop_map(|a| json!({"a": a})),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// The comparison never calls a change compatible that an earlier answer doesn't satisfy, unless it warns of it.
    #[test]
    fn answers_of_a_schema_fit_a_later_compatible_one(before in small_schema(), after in small_schema(), value in small_value()) {
        let comparison = compared(before.clone(), after.clone());
        if comparison.breaking.is_empty() && comparison.warnings.is_empty() {
            let fits = |schema: &Value| {
                AnswerSchema::parse(schema).unwrap().checker().unwrap().check(&value.to_string()).valid
            };
            prop_assert!(!fits(&before) || fits(&after), "{value} fits {before} and not {after}");
        }
    }
}
