//! The table of schema features and providers in the documentation, computed from the profiles.

use std::fmt::Write as _;

use hearth_schema::{AnswerSchema, normalise};
use serde_json::{Value, json};

use super::{
    profile::{self, PROFILES, SchemaProfile},
    rewrite::{Rewritten, rewrite},
};

/// The page with the table, and the marks around it.
const PAGE: &str = include_str!("../../../../docs/structured-answers.md");
const BEGIN: &str = "<!-- table of features: begin -->\n";
const END: &str = "<!-- table of features: end -->";

/// A feature: its name, a schema that has it, and the keywords that are about it.
type Feature = (&'static str, Value, &'static [&'static str]);

#[expect(clippy::needless_pass_by_value, reason = "reads better where it is called")]
fn object(properties: Value, required: Value) -> Value {
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

/// A schema in a required property.
#[expect(clippy::needless_pass_by_value, reason = "reads better where it is called")]
fn property(schema: Value) -> Value {
    object(json!({"a": schema}), json!(["a"]))
}

fn deep(levels: usize) -> Value {
    (1..levels).fold(property(json!({"type": "string"})), |schema, _| property(schema))
}

fn values(count: usize) -> Value {
    json!({"type": "string", "enum": (0..count).map(|number| format!("value {number}")).collect::<Vec<_>>()})
}

fn features() -> Vec<Feature> {
    let text = || json!({"type": "string"});
    let with = |keyword: &str, value: Value| property(json!({"type": "string", keyword: value}));
    let number = |keyword: &str| property(json!({"type": "number", keyword: 1}));
    let list =
        |keyword: &str, value: Value| property(json!({"type": "array", "items": text(), keyword: value}));
    let mut referring = property(json!({"$ref": "#/$defs/b"}));
    referring["$defs"] = json!({"b": text()});
    vec![
        ("`$ref` to a definition", referring, &["$ref"]),
        (
            "recursion through an optional property",
            object(json!({"a": text(), "next": {"$ref": "#"}}), json!(["a"])),
            &[],
        ),
        ("recursion through a list", property(json!({"type": "array", "items": {"$ref": "#"}})), &[]),
        ("`anyOf`", property(json!({"anyOf": [text(), {"type": "integer"}]})), &["anyOf"]),
        ("`oneOf`", property(json!({"oneOf": [text(), {"type": "integer"}]})), &["oneOf"]),
        (
            "`allOf` of objects",
            property(json!({"allOf": [
                {"type": "object", "properties": {"a": text()}, "required": ["a"]},
                {"type": "object", "properties": {"b": text()}, "required": ["b"]},
            ]})),
            &["allOf"],
        ),
        ("`not`", with("not", json!({"const": "a"})), &["not"]),
        (
            "`if`, `then`, `else`",
            json!({
                "type": "object", "properties": {"a": text(), "b": text()}, "required": ["a"], "additionalProperties": false,
                "if": {"properties": {"a": {"const": "x"}}}, "then": {"required": ["b"]},
            }),
            &["if", "then"],
        ),
        ("optional property", object(json!({"a": text(), "b": text()}), json!(["a"])), &["required"]),
        ("`additionalProperties: false`", property(text()), &["additionalProperties"]),
        (
            "map: a schema as `additionalProperties`",
            property(json!({"type": "object", "additionalProperties": text()})),
            &["additionalProperties"],
        ),
        (
            "`patternProperties`",
            property(
                json!({"type": "object", "patternProperties": {"^x": text()}, "additionalProperties": false}),
            ),
            &["patternProperties"],
        ),
        (
            "`dependentRequired`",
            {
                let mut schema = object(json!({"a": text(), "b": text()}), json!(["a"]));
                schema["dependentRequired"] = json!({"a": ["b"]});
                schema
            },
            &["dependentRequired"],
        ),
        ("`pattern`", with("pattern", json!("^[a-z]+$")), &["pattern"]),
        ("`pattern` with look-around", with("pattern", json!("^(?!no)[a-z]+$")), &["pattern"]),
        ("`format: date-time`", with("format", json!("date-time")), &["format"]),
        ("`format: uri`", with("format", json!("uri")), &["format"]),
        ("`minLength`, `maxLength`", with("maxLength", json!(9)), &["maxLength"]),
        ("`minimum`, `maximum`", number("minimum"), &["minimum"]),
        ("`exclusiveMinimum`, `exclusiveMaximum`", number("exclusiveMinimum"), &["exclusiveMinimum"]),
        ("`multipleOf`", number("multipleOf"), &["multipleOf"]),
        ("`minItems`, `maxItems`", list("maxItems", json!(3)), &["maxItems"]),
        ("`uniqueItems`", list("uniqueItems", json!(true)), &["uniqueItems"]),
        ("`contains`", list("contains", json!({"const": "a"})), &["contains"]),
        (
            "`prefixItems`",
            property(json!({"type": "array", "prefixItems": [text(), {"type": "integer"}], "items": false})),
            &["prefixItems"],
        ),
        ("`const`", property(json!({"const": "a"})), &["const"]),
        ("`enum` of several types", property(json!({"enum": ["a", 1, null]})), &["enum"]),
        ("`enum` of 1,000 values", property(values(1000)), &["enum"]),
        ("`enum` of 1,001 values", property(values(1001)), &["enum"]),
        ("list or union as the root", json!({"type": "array", "items": text()}), &[]),
        ("place where any value fits", property(json!({})), &[]),
        ("12 levels of objects", deep(12), &[]),
    ]
}

/// The way of a feature at a provider.
fn at_provider(schema: &Value, keywords: &[&str], profile: &SchemaProfile) -> &'static str {
    match rewrite(&normalise(schema).unwrap(), profile) {
        Ok(Rewritten { described, .. }) if keywords.iter().any(|keyword| described.contains(*keyword)) => {
            "checked"
        }
        Ok(Rewritten { is_wrapped, has_nulls, .. }) if is_wrapped || has_nulls => "rewritten",
        Ok(_) => "enforced",
        Err(_) if *profile == profile::OPENAI => "followed",
        Err(_) if *profile == profile::GEMINI => "asked",
        Err(_) => "tool",
    }
}

/// The way of a feature at a node. The grammar's library has no look-around: a test of the node's grammars shows that such a
/// pattern is left to the validation.
fn at_node(schema: &Value, keywords: &[&str]) -> &'static str {
    if schema.to_string().contains("(?!") {
        return "checked";
    }
    let schema = AnswerSchema::parse(schema).unwrap();
    let relaxed = schema.relax(schema.levels()[0]).keywords;
    if keywords.iter().any(|keyword| relaxed.iter().any(|one| one == keyword)) {
        "checked"
    } else {
        "enforced"
    }
}

fn table() -> String {
    let titles: Vec<&str> = PROFILES.iter().map(|profile| profile.title).collect();
    let mut table =
        format!("| feature | node | {} |\n|---|---|{}\n", titles.join(" | "), "---|".repeat(titles.len()));
    for (name, schema, keywords) in features() {
        let cells: Vec<&str> =
            PROFILES.iter().map(|profile| at_provider(&schema, keywords, profile)).collect();
        let _ = writeln!(table, "| {name} | {} | {} |", at_node(&schema, keywords), cells.join(" | "));
    }
    table
}

#[test]
fn page_has_the_table_of_features() {
    let table = table();
    let (_, rest) = PAGE.split_once(BEGIN).unwrap();
    let (written, _) = rest.split_once(END).unwrap();
    assert!(written == table, "put this table into docs/structured-answers.md:\n{table}");
}

#[test]
fn page_names_the_source_of_each_subset() {
    for profile in PROFILES {
        assert!(PAGE.contains(profile.source), "{}: {}", profile.title, profile.source);
    }
}
