use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::*;

#[derive(Debug, PartialEq, Deserialize)]
struct Point {
    x: i32,
    #[serde(default)]
    next: Option<Box<Point>>,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Pair(Point, i32);

#[derive(Debug, PartialEq, Deserialize)]
struct Wrapped(Point);

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Shape {
    Dot,
    Circle(Point),
    Line(Point, Point),
    Square { corner: Point },
}

#[derive(Debug, PartialEq, Deserialize)]
struct Body {
    #[serde(default)]
    points: Vec<Point>,
    #[serde(default)]
    by_name: BTreeMap<String, Point>,
    #[serde(default)]
    pair: Option<Pair>,
    #[serde(default)]
    wrapped: Option<Wrapped>,
    #[serde(default)]
    shape: Option<Shape>,
    #[serde(default)]
    any: Value,
}

fn parse(json: &Value) -> Result<Body, String> {
    let text = json.to_string();
    let mut json = serde_json::Deserializer::from_str(&text);
    serde_path_to_error::deserialize(ObjectsOnly(&mut json))
        .map_err(|error| format!("{}: {}", error.path(), error.inner()))
}

#[test]
fn list_is_refused_in_the_place_of_every_object() {
    let point = json!({"x": 1});
    for (json, path) in [
        (json!({"points": [[1]]}), "points[0]"),
        (json!({"points": [point, {"x": 1, "next": [2]}]}), "points[1].next"),
        (json!({"points": [point, {"x": 1, "next": []}]}), "points[1].next"),
        (json!({"by_name": {"a": [1]}}), "by_name.a"),
        (json!({"pair": [[1], 2]}), "pair[0]"),
        (json!({"wrapped": [1]}), "wrapped"),
        (json!({"shape": {"circle": [1]}}), "shape.circle"),
        (json!({"shape": {"line": [point, [1]]}}), "shape.line[1]"),
        (json!({"shape": {"square": [point]}}), "shape.square"),
        (json!({"shape": {"square": {"corner": [1]}}}), "shape.square.corner"),
        (json!([]), "."),
    ] {
        let error = parse(&json).unwrap_err();
        assert!(error.starts_with(&format!("{path}: invalid type: sequence")), "{json}: {error}");
    }
}

#[test]
fn objects_and_lists_in_their_places_are_accepted() {
    let point = json!({"x": 1, "next": {"x": 2}});
    for shape in [
        json!("dot"),
        json!({"circle": point}),
        json!({"line": [point, point]}),
        json!({"square": {"corner": point}}),
    ] {
        let json = json!({
            "points": [point], "by_name": {"a": point}, "pair": [point, 2], "wrapped": point, "shape": shape,
            "any": [[1], {"a": [null, 1.5, "text"]}],
        });
        let body = parse(&json).unwrap();
        assert_eq!(body, serde_json::from_value(json.clone()).unwrap(), "{json}");
        assert_eq!(body.any, json["any"]);
    }
}

#[test]
fn enum_with_its_name_in_a_field_is_an_object() {
    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(tag = "type", rename_all = "snake_case")]
    enum Message {
        Ping,
        Move {
            #[serde(deserialize_with = "deserialize")]
            to: Point,
        },
    }

    let parse = |json: Value| object::<Message, _>(json).map_err(|error| error.to_string());
    assert_eq!(parse(json!({"type": "ping"})), Ok(Message::Ping));
    let to = Point { x: 1, next: None };
    assert_eq!(parse(json!({"type": "move", "to": {"x": 1}})), Ok(Message::Move { to }));
    for json in [json!(["ping"]), json!(["move", {"to": {"x": 1}}]), json!({"type": "move", "to": [1]})] {
        assert!(parse(json.clone()).unwrap_err().starts_with("invalid type: sequence"), "{json}");
    }
}
