//! Schemas with the features of published schemas of configuration files: each is served, enforced beyond "any JSON", and its
//! answer is valid or marked.

use hearth_schema::AnswerSchema;
use hearth_tests::{Client, Home};
use serde_json::{Map, Value, json};

const DRAFT_4: &str = "http://json-schema.org/draft-04/schema#";
const DRAFT_6: &str = "http://json-schema.org/draft-06/schema#";
const DRAFT_7: &str = "http://json-schema.org/draft-07/schema#";
const DRAFT_2019: &str = "https://json-schema.org/draft/2019-09/schema";
const DRAFT_2020: &str = "https://json-schema.org/draft/2020-12/schema";

/// A schema, and the keywords that its grammar leaves to the validation.
struct Sample {
    name: &'static str,
    schema: Value,
    relaxed: &'static [&'static str],
}

fn sample(name: &'static str, relaxed: &'static [&'static str], schema: Value) -> Sample {
    Sample { name, schema, relaxed }
}

/// Properties `p0`, `p1` and so on, each with this schema.
fn properties(count: usize, schema: &Value) -> Map<String, Value> {
    (0..count).map(|number| (format!("p{number}"), schema.clone())).collect()
}

/// Features of old drafts, and references within the document.
fn drafts() -> Vec<Sample> {
    vec![
        sample(
            "flags of draft 4",
            &[],
            json!({"$schema": DRAFT_4, "type": "object", "required": ["port"], "additionalProperties": false, "properties": {
                "port": {"type": "integer", "minimum": 0, "exclusiveMinimum": true, "maximum": 9, "exclusiveMaximum": true},
            }}),
        ),
        sample(
            "id of draft 4",
            &[],
            json!({"$schema": DRAFT_4, "id": "http://example.com/tool", "type": "object", "required": ["level"],
                "properties": {"level": {"$ref": "#level"}}, "additionalProperties": false,
                "definitions": {"level": {"id": "#level", "enum": ["low", "high"]}}}),
        ),
        sample(
            "const and examples of draft 6",
            &[],
            json!({"$schema": DRAFT_6, "type": "object", "required": ["version"], "examples": [{}],
                "properties": {"version": {"const": 2}}, "additionalProperties": false}),
        ),
        sample(
            "identifier in a definition",
            &[],
            json!({"$schema": DRAFT_7, "$id": "https://example.com/a/tool.json", "type": "array", "maxItems": 2,
                "items": {"$ref": "step.json"}, "definitions": {"step": {"$id": "step.json", "type": "boolean"}}}),
        ),
        sample(
            "own address",
            &[],
            json!({"$schema": DRAFT_7, "$id": "https://example.com/tool.json", "type": "array", "maxItems": 2,
                "items": {"$ref": "https://example.com/tool.json#/definitions/step"},
                "definitions": {"step": {"enum": ["build", "test"]}}}),
        ),
        sample(
            "reference to a property, and beside one of draft 7",
            &["oneOf"],
            json!({"$schema": DRAFT_7, "type": "object", "required": ["from", "to"], "additionalProperties": false,
                "properties": {"from": {"$ref": "#/properties/to", "type": "null"}, "to": {"oneOf": [{"enum": ["x"]}, {"type": "null"}]}}}),
        ),
        sample(
            "anchor of 2019-09",
            &[],
            json!({"$schema": DRAFT_2019, "type": "object", "required": ["on"], "additionalProperties": false,
                "properties": {"on": {"$ref": "#flag"}}, "$defs": {"flag": {"$anchor": "flag", "type": "boolean"}}}),
        ),
        sample(
            "recursion of 2019-09",
            &[],
            json!({"$schema": DRAFT_2019, "$recursiveAnchor": true, "type": "object", "additionalProperties": false,
                "properties": {"next": {"type": "array", "maxItems": 1, "items": {"$recursiveRef": "#"}}}}),
        ),
        sample(
            "list of schemas, and unevaluated items of 2020-12",
            &["unevaluatedItems"],
            json!({"$schema": DRAFT_2020, "type": "array", "minItems": 1, "maxItems": 2,
                "prefixItems": [{"type": "boolean"}], "unevaluatedItems": false}),
        ),
    ]
}

/// Numbers and patterns that a grammar, or Rust's regular expressions, can't express as they are written.
fn values() -> Vec<Sample> {
    let text = |pattern: &str| json!({"type": "string", "pattern": pattern, "maxLength": 8});
    vec![
        sample(
            "bounds of 64 bits",
            &["maximum", "minimum"],
            json!({"type": "object", "required": ["size", "on"], "additionalProperties": false, "properties": {
                "size": {"type": "integer", "minimum": i64::MIN, "maximum": u64::MAX}, "on": {"type": "boolean"},
            }}),
        ),
        sample(
            "bounds of a double",
            &["maximum", "minimum"],
            json!({"type": "array", "maxItems": 1, "items": {"type": "number", "minimum": -1.79769e308, "maximum": 1.79769e308}}),
        ),
        sample(
            "counts with a fraction of zero",
            &[],
            json!({"type": "array", "items": {"type": "boolean"}, "minItems": 1.0, "maxItems": 2.0}),
        ),
        sample(
            "one pattern with look-around",
            &["pattern"],
            json!({"type": "object", "required": ["a", "b"], "additionalProperties": false,
                "properties": {"a": text("^(?!con$)[a-z]{3}$"), "b": text("^[0-9]{3}$")}}),
        ),
        sample(
            "names with look-around",
            &["additionalProperties", "patternProperties"],
            json!({"type": "object", "properties": {"a": {"type": "null"}}, "required": ["a"],
                "patternProperties": {"^(?!a)": {"type": "boolean"}}, "additionalProperties": false}),
        ),
        sample("pattern: any character", &[], text("^[^]$")),
        sample("pattern: operators on sets", &[], text("^[a&&b]$")),
        sample("pattern: bracket in a class", &[], text("^[[x]$")),
        sample("pattern: braces", &[], text("^x{y}$")),
        sample("pattern: escapes", &[], text(r"^\<\0\cA\/\-\ud83d\ude00\>$")),
    ]
}

/// Definitions that no value fits, where none is needed, and large schemas.
fn sizes() -> Vec<Sample> {
    let never = json!({"type": "object", "additionalProperties": false, "required": ["x"]});
    let flag = json!({"type": "boolean"});
    let described = json!({"type": "boolean", "description": "Turns something on. ".repeat(40)});
    vec![
        sample(
            "optional property that no value fits",
            &[],
            json!({"type": "object", "required": ["on"], "additionalProperties": false,
                "properties": {"on": flag, "title": {"$ref": "#/definitions/never"}}, "definitions": {"never": never}}),
        ),
        sample(
            "alternative that no value fits",
            &[],
            json!({"anyOf": [{"$ref": "#/$defs/outer"}, {"type": "null"}], "$defs": {
                "never": never, "outer": {"type": "object", "required": ["a"], "properties": {"a": {"$ref": "#/$defs/never"}}},
            }}),
        ),
        sample(
            "600 optional properties",
            &[],
            json!({"type": "object", "properties": properties(600, &flag)}),
        ),
        sample(
            "more descriptions than 128 KiB",
            &[],
            json!({"type": "object", "properties": properties(300, &described), "additionalProperties": false}),
        ),
        sample(
            "an enumeration of 9000 texts",
            &[],
            json!({"enum": (0..9000).map(|number| format!("value number {number}")).collect::<Vec<_>>()}),
        ),
    ]
}

async fn request(client: &Client, model: &str, sample: &Sample) -> Value {
    let format = json!({"name": "sample", "schema": sample.schema});
    let body = json!({
        "model": model, "messages": [{"role": "user", "content": "Give me JSON."}], "temperature": 0.8, "seed": 1,
        "max_tokens": 150, "max_attempts": 2, "response_format": {"type": "json_schema", "json_schema": format},
    });
    let answer = client.post("/v1/chat/completions", &body).await;
    assert_eq!(answer.status, 200, "{}: {answer:?}", sample.name);
    answer.json()
}

fn check(sample: &Sample, answer: &Value) {
    let name = format!("{}: {answer}", sample.name);
    let choice = &answer["choices"][0];
    let text = choice["message"]["content"].as_str().unwrap_or_else(|| panic!("{name}"));
    let structured = &choice["structured"];
    let checker = AnswerSchema::parse(&sample.schema).and_then(|schema| schema.checker());
    let fits = checker.unwrap_or_else(|error| panic!("{name}: {error}")).check(text).valid;
    assert_eq!(structured["valid"], fits, "{name}");
    assert_eq!(structured["status"], if fits { "passed" } else { "failed" }, "{name}");
    let relaxed: Vec<&str> =
        structured["relaxed"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    assert_eq!(relaxed, sample.relaxed, "{name}");
    // The grammar of a schema that it enforces wholly leaves no other answer.
    assert!(fits || choice["finish_reason"] == "length" || !relaxed.is_empty(), "{name}");
    // The library's own reading of the draft, where its patterns are those of Rust.
    if !sample.name.starts_with("pattern") {
        let validator =
            jsonschema::validator_for(&sample.schema).unwrap_or_else(|error| panic!("{name}: {error}"));
        let value = serde_json::from_str::<Value>(text);
        assert_eq!(value.is_ok_and(|value| validator.is_valid(&value)), fits, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn schemas_with_the_features_of_configuration_files_are_served() {
    let home = Home::start().await;
    let client = home.client();
    for sample in drafts().into_iter().chain(values()).chain(sizes()) {
        check(&sample, &request(&client, &home.model, &sample).await);
    }
    home.stop().await;
}
