use hearth_schema::{AnswerSchema, normalise, samples::samples};
use serde_json::{Value, json};

use super::{
    super::{
        AnswerForm,
        profile::{ANTHROPIC, BEDROCK, GEMINI, OPENAI, PROFILES, SchemaProfile},
    },
    *,
};
use crate::strict_schema::is_strict;

fn rewritten(schema: &Value, profile: &SchemaProfile) -> Result<Rewritten, String> {
    rewrite(&normalise(schema).unwrap(), profile)
}

fn schema(schema: &Value, profile: &SchemaProfile) -> Value {
    rewritten(schema, profile).unwrap_or_else(|error| panic!("{schema}: {error}")).schema
}

#[test]
fn openai_gets_closed_objects_with_nullable_properties() {
    let client = json!({
        "type": "object", "required": ["age"],
        "properties": {
            "age": {"type": "integer", "minimum": 0, "description": "Years."},
            "name": {"type": "string", "minLength": 1, "maxLength": 9},
            "kind": {"enum": ["a", "b"]},
            "maybe": {"type": ["string", "null"]},
            "next": {"$ref": "#"},
            "fixed": {"const": 1},
        },
    });
    let expected = json!({
        "type": "object", "additionalProperties": false,
        "required": ["age", "name", "kind", "maybe", "next", "fixed"],
        "properties": {
            "age": {"type": "integer", "minimum": 0, "description": "Years."},
            "name": {"type": ["string", "null"], "description": "{minLength: 1, maxLength: 9}"},
            "kind": {"type": ["string", "null"], "enum": ["a", "b", null]},
            "maybe": {"type": ["string", "null"]},
            "next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]},
            "fixed": {"anyOf": [{"type": "integer", "const": 1}, {"type": "null"}]},
        },
    });
    let Rewritten { schema, is_wrapped, has_nulls, described } = rewritten(&client, &OPENAI).unwrap();
    assert_eq!(schema, expected);
    assert!(!is_wrapped && has_nulls);
    assert_eq!(described.into_iter().collect::<Vec<_>>(), ["maxLength", "minLength"]);
}

#[test]
fn root_that_is_no_object_is_wrapped_for_openai() {
    let list = json!({"type": "array", "items": {"anyOf": [{"type": "integer"}, {"$ref": "#"}]}});
    let Rewritten { schema, is_wrapped, .. } = rewritten(&list, &OPENAI).unwrap();
    let expected = json!({
        "type": "object", "properties": {"answer": {"$ref": "#/$defs/answer"}}, "required": ["answer"],
        "additionalProperties": false,
        "$defs": {"answer": {"type": "array", "items": {"anyOf": [{"type": "integer"}, {"$ref": "#/$defs/answer"}]}}},
    });
    assert_eq!((schema, is_wrapped), (expected, true));
    assert!(!rewritten(&json!({"type": "array", "items": {"type": "integer"}}), &GEMINI).unwrap().is_wrapped);
}

#[test]
fn combined_schemas_are_merged() {
    let client = json!({
        "allOf": [{"$ref": "#/$defs/base"}, {"properties": {"b": {"type": "integer", "maximum": 5}}, "required": ["b"]}],
        "$defs": {"base": {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "number", "maximum": 9}}, "required": ["a"]}},
    });
    let expected = json!({
        "type": "object", "additionalProperties": false, "required": ["a", "b"],
        "properties": {"a": {"type": "string"}, "b": {"type": "integer", "maximum": 5}},
    });
    assert_eq!(schema(&client, &OPENAI), expected);
    let closed = json!({"allOf": [
        {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": false},
        {"type": "object", "properties": {"b": {"type": "string"}}},
    ]});
    assert!(rewritten(&closed, &OPENAI).unwrap_err().contains("closed"));
}

#[test]
fn schema_outside_a_subset_is_refused_with_the_reason() {
    let tree =
        json!({"type": "object", "properties": {"next": {"$ref": "#"}}, "additionalProperties": false});
    let list = json!({
        "type": "object", "properties": {"all": {"type": "array", "items": {"$ref": "#"}}}, "required": ["all"],
    });
    let wide: Vec<String> = (0..1001).map(|number| number.to_string()).collect();
    let optional: Value =
        (0..25).map(|number| (format!("p{number}"), json!({"type": "string"}))).collect::<Map<_, _>>().into();
    for (schema, profile, reason) in [
        (&tree, &ANTHROPIC, "refers to itself"),
        (&tree, &BEDROCK, "refers to itself"),
        (&list, &GEMINI, "refers to itself in other places"),
        (&json!({"type": "object", "additionalProperties": {"type": "string"}}), &OPENAI, "any name"),
        (&json!({"type": "object", "properties": {"a": {}}, "required": ["a"]}), &ANTHROPIC, "any value"),
        (&json!({"enum": [{"a": 1}]}), &ANTHROPIC, "objects or lists"),
        (&json!({"type": "string", "enum": wide}), &OPENAI, "1001 values"),
        (&json!({"type": "object", "properties": optional}), &ANTHROPIC, "25 optional"),
        (&json!({"type": "array"}), &OPENAI, "items"),
    ] {
        let error = rewritten(schema, profile).unwrap_err();
        assert!(error.contains(reason), "{schema}: {error}");
    }
    assert!(rewritten(&tree, &OPENAI).is_ok() && rewritten(&tree, &GEMINI).is_ok());
}

/// A schema that doubles with each level when it is merged.
#[test]
fn hostile_combinations_end_soon() {
    let mut definitions: Map<String, Value> = (0..60)
        .map(|level| {
            let next = json!({"$ref": format!("#/$defs/a{}", level + 1)});
            let part = json!({"type": "object", "properties": {"x": {"allOf": [next, {"title": "t", "type": "object"}]}}});
            let other = json!({"type": "object", "properties": {"x": {"allOf": [next, {"type": "object", "minProperties": 0}]}}});
            (format!("a{level}"), json!({"allOf": [part, other]}))
        })
        .collect();
    definitions.insert("a60".to_owned(), json!({"type": "object"}));
    let hostile = json!({"$ref": "#/$defs/a0", "$defs": definitions});
    let began = std::time::Instant::now();
    for profile in PROFILES {
        let _ = rewritten(&hostile, profile);
    }
    assert!(began.elapsed() < std::time::Duration::from_secs(20), "{:?}", began.elapsed());
}

/// A branch of a document as a document: references to the root lead to a definition.
fn below_definitions(root: &Value, branch: &Value) -> Value {
    let mut definitions = root.get("$defs").and_then(Value::as_object).cloned().unwrap_or_default();
    definitions.insert("document".to_owned(), root.clone());
    let alone = json!({"allOf": [branch], "$defs": definitions}).to_string();
    let alone = alone.replace(r##""$ref":"#""##, r##""$ref":"#/$defs/document""##);
    serde_json::from_str(&alone).unwrap()
}

/// Fills an answer with nulls for the properties that a rewritten schema requires.
fn fill(root: &Value, schema: &Value, answer: &mut Value) {
    let members = schema.as_object().unwrap();
    if let Some(reference) = members.get("$ref").and_then(Value::as_str) {
        let target =
            if reference == "#" { root } else { &root["$defs"][reference.trim_start_matches("#/$defs/")] };
        return fill(root, target, answer);
    }
    for branch in members.get("anyOf").and_then(Value::as_array).into_iter().flatten() {
        let mut filled = answer.clone();
        fill(root, branch, &mut filled);
        let alone = below_definitions(root, branch);
        if AnswerSchema::parse(&alone).unwrap().checker().unwrap().check_value(filled.clone()).valid {
            *answer = filled;
            return;
        }
    }
    match answer {
        Value::Object(object) => {
            for (name, property) in members.get("properties").and_then(Value::as_object).into_iter().flatten()
            {
                match object.get_mut(name) {
                    Some(value) => fill(root, property, value),
                    None if members
                        .get("required")
                        .and_then(Value::as_array)
                        .is_some_and(|names| names.iter().any(|one| one == name)) =>
                    {
                        object.insert(name.clone(), Value::Null);
                    }
                    None => {}
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                if let Some(schema) = members.get("items") {
                    fill(root, schema, item);
                }
            }
        }
        _ => {}
    }
}

/// The keywords in a schema.
fn keywords(schema: &Value, all: &mut BTreeSet<String>) {
    let Some(members) = schema.as_object() else { return };
    for (keyword, value) in members {
        all.insert(keyword.clone());
        match (keyword.as_str(), value) {
            ("properties" | "$defs", Value::Object(schemas)) => {
                schemas.values().for_each(|schema| keywords(schema, all))
            }
            ("anyOf" | "prefixItems", Value::Array(schemas)) => {
                schemas.iter().for_each(|schema| keywords(schema, all))
            }
            ("items" | "additionalProperties", schema) => keywords(schema, all),
            _ => {}
        }
    }
}

#[test]
fn samples_are_rewritten_to_supported_keywords_and_answers_find_their_way_back() {
    for profile in PROFILES {
        let mut count = 0;
        for sample in samples() {
            let Ok(Rewritten { schema, is_wrapped, has_nulls, described }) =
                rewritten(&sample.schema, profile)
            else {
                continue;
            };
            count += 1;
            let name = format!("{} {} of {}: {schema}", sample.kind, sample.number, profile.title);
            let mut used = BTreeSet::new();
            keywords(&schema, &mut used);
            let others = ["title", "description", "$defs"];
            used.retain(|keyword| !profile.has(keyword) && !others.contains(&keyword.as_str()));
            assert!(used.is_empty(), "{name}: {used:?}");
            assert!(!profile.all_required || is_strict(&schema), "{name}");
            let checker = AnswerSchema::parse(&schema).unwrap().checker().unwrap();
            let mut answer = sample.fitting.clone();
            if is_wrapped {
                answer = json!({"answer": answer});
            }
            fill(&schema, &schema, &mut answer);
            let is_narrowed = ["additionalProperties", "patternProperties"]
                .iter()
                .any(|keyword| described.contains(*keyword));
            let result = checker.check_value(answer.clone());
            assert!(result.valid || is_narrowed, "{name}: {answer}: {result:?}");
            let form = AnswerForm {
                is_wrapped,
                optional_as_null: has_nulls.then(|| normalise(&sample.schema).unwrap()),
            };
            let restored = form.restore(&answer).unwrap_or(answer);
            assert_eq!(restored, sample.fitting, "{name}");
        }
        assert!(count >= 130, "{}: {count}", profile.title);
    }
}

#[test]
fn combination_that_doubles_at_each_reference_is_refused() {
    let mut definitions = Map::new();
    for level in 0..28 {
        let next = json!({"$ref": format!("#/$defs/d{}", level + 1)});
        definitions.insert(format!("d{level}"), json!({"allOf": [next, next]}));
    }
    definitions.insert("d28".to_owned(), json!({"type": "string"}));
    let client = json!({
        "type": "object", "properties": {"x": {"$ref": "#/$defs/d0"}}, "$defs": definitions,
    });
    for profile in [&OPENAI, &GEMINI] {
        assert!(rewritten(&client, profile).unwrap_err().contains("too many schemas"));
    }
}

#[test]
fn definitions_that_multiply_are_evaluated_once_for_null() {
    for (keyword, leaf, accepts) in [("anyOf", json!({"type": "string"}), false), ("allOf", json!({}), true)]
    {
        let mut definitions = Map::new();
        for level in 0..28 {
            let next = json!({"$ref": format!("#/$defs/d{}", level + 1)});
            definitions.insert(format!("d{level}"), json!({keyword: vec![next; 10]}));
        }
        definitions.insert("d28".to_owned(), leaf);
        let root = json!({"$defs": definitions});
        let document = SchemaDocument::new(&root);
        for _ in 0..2 {
            assert_eq!(document.accepts_null(&json!({"$ref": "#/$defs/d0"})), accepts, "{keyword}");
        }
    }
}
