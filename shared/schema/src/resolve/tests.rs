use super::*;

fn resolved(schema: &Value, draft: Draft) -> Result<Vec<Value>, String> {
    resolve(schema, draft, &[]).map(|document| document.definitions)
}

#[test]
fn each_kind_of_reference_is_resolved() {
    let (four, seven, newest) = (Draft::Draft4, Draft::Draft7, Draft::Draft202012);
    let target = json!({"type": "null"});
    for (draft, schema) in [
        (seven, json!({"not": {"$ref": "#/definitions/a"}, "definitions": {"a": target}})),
        (newest, json!({"not": {"$ref": "#/$defs/a~1b%25"}, "$defs": {"a/b%": target}})),
        (newest, json!({"not": {"$ref": "#here"}, "$defs": {"a": {"$anchor": "here", "type": "null"}}})),
        (seven, json!({"not": {"$ref": "#here"}, "definitions": {"a": {"$id": "#here", "type": "null"}}})),
        (four, json!({"not": {"$ref": "#here"}, "definitions": {"a": {"id": "#here", "type": "null"}}})),
        (
            newest,
            json!({"$id": "https://a.example/root", "not": {"$ref": "item"}, "$defs": {
                "a": {"$id": "item", "type": "null"}
            }}),
        ),
        (
            newest,
            json!({"$id": "https://a.example/root", "not": {"$ref": "https://a.example/root#/$defs/a"}, "$defs": {
                "a": target
            }}),
        ),
        (newest, json!({"not": {"$ref": "#/x-parts/0"}, "x-parts": [target]})),
        (
            newest,
            json!({"not": {"$dynamicRef": "#a"}, "$defs": {"a": {"$dynamicAnchor": "a", "type": "null"}}}),
        ),
    ] {
        let definitions = resolved(&schema, draft).unwrap();
        let pointed = match definitions[0]["not"].get("allOf") {
            Some(all) => all[0].clone(),
            None => definitions[0]["not"].clone(),
        };
        assert_eq!(pointed, json!({"$ref": "#/$defs/d1"}), "{schema}");
        assert_eq!(definitions[1], target, "{schema}");
    }
}

#[test]
fn older_drafts_are_rewritten() {
    let (four, seven, nineteen) = (Draft::Draft4, Draft::Draft7, Draft::Draft201909);
    for (draft, schema, expected) in [
        (four, json!({"minimum": 1, "exclusiveMinimum": true}), json!({"minimum": 1, "exclusiveMinimum": 1})),
        (four, json!({"minimum": 1, "exclusiveMinimum": false}), json!({"minimum": 1})),
        (four, json!({"const": 1}), json!({})),
        (seven, json!({"items": [true, false]}), json!({"prefixItems": [true, false]})),
        (
            seven,
            json!({"items": [true], "additionalItems": false}),
            json!({"prefixItems": [true], "items": false}),
        ),
        (seven, json!({"items": true, "additionalItems": false}), json!({"items": true})),
        (
            seven,
            json!({"dependencies": {"a": ["b"], "c": {"minLength": 1}}}),
            json!({"dependentRequired": {"a": ["b"]}, "dependentSchemas": {"c": {"minLength": 1}}}),
        ),
        (seven, json!({"minItems": 2.0, "maxLength": 1e3}), json!({"minItems": 2, "maxLength": 1000})),
        (
            seven,
            json!({"pattern": "^[^]$", "patternProperties": {"[a&&b]": {"pattern": "${a}"}}}),
            json!({"pattern": "^[\\s\\S]$", "patternProperties": {"[a\\x26\\x26b]": {"pattern": "$\\{a}"}}}),
        ),
        // Before 2019-09, keywords beside a reference are ignored.
        (seven, json!({"items": {"$ref": "#", "type": "null"}}), json!({"items": {"$ref": "#/$defs/d0"}})),
        (
            nineteen,
            json!({"items": {"$recursiveRef": "#", "minItems": 1}}),
            json!({"items": {"allOf": [{"$ref": "#/$defs/d0"}], "minItems": 1}}),
        ),
    ] {
        assert_eq!(resolved(&schema, draft).unwrap()[0], expected, "{schema}");
    }
}

#[test]
fn meta_schemas_are_built_in() {
    for uri in ["http://json-schema.org/draft-04/schema#", "https://json-schema.org/draft-07/schema"] {
        let schema = json!({"properties": {"a": {"$ref": uri}}});
        assert!(resolved(&schema, Draft::Draft7).unwrap().len() > 2, "{uri}");
    }
    for uri in
        ["https://json-schema.org/draft/2020-12/schema", "https://json-schema.org/draft/2019-09/schema"]
    {
        let schema = json!({"properties": {"a": {"$ref": uri}}});
        assert!(resolved(&schema, Draft::Draft202012).unwrap().len() > 8, "{uri}");
    }
}

#[test]
fn unresolvable_references_are_refused() {
    for (reference, part) in [
        ("#/$defs/missing", "which doesn't exist"),
        ("#missing", "which doesn't exist"),
        ("https://example.com/schema", "another document"),
        ("other.json#/definitions/a", "another document"),
        ("file:///etc/passwd", "another document"),
    ] {
        let problem = resolved(&json!({"items": {"$ref": reference}}), Draft::Draft202012).unwrap_err();
        assert!(problem.contains(part) && problem.contains(reference), "{problem}");
    }
    // Unreferenced schemas are not resolved.
    let unused = json!({"$defs": {"a": {"$ref": "https://example.com/schema"}}});
    assert_eq!(resolved(&unused, Draft::Draft202012).unwrap(), [json!({})]);
}

#[test]
fn cyclic_and_oversized_schemas_are_refused() {
    let newest = Draft::Draft202012;
    for schema in [
        json!({"$ref": "#"}),
        json!({"anyOf": [{"type": "null"}, {"$ref": "#"}]}),
        json!({"$ref": "#/$defs/a", "$defs": {"a": {"not": {"$ref": "#/$defs/b"}}, "b": {"$ref": "#/$defs/a"}}}),
    ] {
        assert!(resolved(&schema, newest).unwrap_err().contains("refers to itself"), "{schema}");
    }
    // A reference below `items` is not a cycle.
    assert!(resolved(&json!({"items": {"$ref": "#"}}), newest).is_ok());
    let chain = |length: usize| {
        let next = |n: usize| (format!("a{n}"), json!({"$ref": format!("#/$defs/a{}", n + 1)}));
        let mut definitions: Map<String, Value> = (0..length).map(next).collect();
        definitions.insert(format!("a{length}"), json!(true));
        json!({"$ref": "#/$defs/a0", "$defs": definitions})
    };
    assert!(resolved(&chain(50), newest).is_ok());
    assert!(resolved(&chain(100), newest).unwrap_err().contains("references in a row"));
    let wide: Vec<Value> = (0..1001).map(|number| json!({"$ref": format!("#/$defs/a{number}")})).collect();
    let definitions: Map<String, Value> = (0..1001).map(|number| (format!("a{number}"), json!({}))).collect();
    let wide = json!({"prefixItems": wide, "$defs": definitions});
    assert!(resolved(&wide, newest).unwrap_err().contains("at most 1000 schemas"));
    let patterns: Vec<Value> = (0..600).map(|_| json!({"pattern": "a"})).collect();
    assert!(resolved(&json!({"prefixItems": patterns}), newest).unwrap_err().contains("patterns"));
}
