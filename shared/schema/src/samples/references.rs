//! References: to definitions, anchors, identifiers and the schema itself, in several drafts.

use serde_json::json;

use super::Sample;

/// Schemas with references.
pub(super) fn reference(number: usize) -> Sample {
    let size = 1 + number / 10;
    let small = json!({"type": "integer", "minimum": 0, "maximum": 9 + size});
    let object = |properties: serde_json::Value, required: serde_json::Value| {
        json!({
            "type": "object", "properties": properties, "required": required, "additionalProperties": false,
        })
    };
    match number % 10 {
        0 => {
            let mut schema = object(json!({"a": {"$ref": "#/$defs/small"}}), json!(["a"]));
            schema["$defs"] = json!({"small": small});
            (schema, json!({"a": 1}), json!({"a": -1}))
        }
        1 => {
            let mut schema = object(json!({"v": {"type": "boolean"}, "next": {"$ref": "#"}}), json!(["v"]));
            schema["title"] = json!(format!("Chain {size}"));
            (schema, json!({"v": true, "next": {"v": false}}), json!({"v": true, "next": {}}))
        }
        2 => {
            let node = object(
                json!({"v": small, "children": {"type": "array", "items": {"$ref": "#/$defs/node"}, "maxItems": size}}),
                json!(["v", "children"]),
            );
            (
                json!({"$ref": "#/$defs/node", "$defs": {"node": node}}),
                json!({"v": 1, "children": [{"v": 2, "children": []}]}),
                json!({"v": 1, "children": [{}]}),
            )
        }
        3 => {
            let mut schema = object(json!({"a": {"$ref": "#tiny"}}), json!(["a"]));
            schema["$defs"] = json!({"it": {"$anchor": "tiny", "enum": ["x", format!("y{size}")]}});
            (schema, json!({"a": "x"}), json!({"a": "z"}))
        }
        4 => {
            let mut schema = object(json!({"a": {"$ref": "#/definitions/flag"}}), json!(["a"]));
            schema["$schema"] = json!("http://json-schema.org/draft-07/schema#");
            schema["definitions"] = json!({"flag": {"type": "boolean", "title": format!("Flag {size}")}});
            (schema, json!({"a": true}), json!({"a": 1}))
        }
        5 => {
            let mut schema = object(json!({"a": {"$ref": "item"}}), json!(["a"]));
            schema["$id"] = json!("https://example.com/schemas/root");
            schema["$defs"] =
                json!({"it": {"$id": "item", "type": "integer", "maximum": 5 + size, "minimum": 0}});
            (schema, json!({"a": 3}), json!({"a": 30}))
        }
        6 => {
            let mut schema = object(
                json!({"a": {"$ref": "#/$defs/one"}, "b": {"$ref": "#/$defs/one"}}),
                json!(["a", "b"]),
            );
            schema["$defs"] =
                json!({"one": {"$ref": "#/$defs/two"}, "two": {"$ref": "#/$defs/three"}, "three": small});
            (schema, json!({"a": 1, "b": 2}), json!({"a": 1, "b": "x"}))
        }
        7 => {
            let mut schema = object(
                json!({"v": {"anyOf": [{"type": "boolean"}, {"type": "array", "items": {"$ref": "#"}, "maxItems": size}]}}),
                json!(["v"]),
            );
            schema["description"] = json!("Flags within each other.");
            (schema, json!({"v": [{"v": true}]}), json!({"v": [{"v": 1}]}))
        }
        8 => {
            let mut schema = object(json!({"a": {"$ref": "#/properties/b"}, "b": small}), json!(["a", "b"]));
            schema["title"] = json!("A place of the schema itself");
            (schema, json!({"a": 1, "b": 2}), json!({"a": "x", "b": 2}))
        }
        _ => {
            let left = object(json!({"right": {"$ref": "#/$defs/right"}}), json!([]));
            let right = object(json!({"left": {"$ref": "#/$defs/left"}, "n": small}), json!(["n"]));
            (
                json!({"$ref": "#/$defs/left", "$defs": {"left": left, "right": right}}),
                json!({"right": {"n": 1, "left": {}}}),
                json!({"right": {"left": {}}}),
            )
        }
    }
}
