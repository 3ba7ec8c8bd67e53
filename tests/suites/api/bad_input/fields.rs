//! Fields of a wrong type, unknown ones, and fields that are there twice.

use hearth_tests::permission_matrix::NestedObject;
use serde_json::{Value, json};

use super::{
    bodies::takes_json,
    table::{Case, Expected, Row, Table},
};

const LONG_TEXT_CHARS: usize = 200_000;
const LEVELS: usize = 200;
/// Dialects of vendors: unknown fields are ignored, or sent to a provider of the same dialect.
const VENDORS_PATHS: [&str; 10] = [
    "/api/",
    "/v1/batches",
    "/v1beta/",
    "/v1/chat/",
    "/v1/completions",
    "/v1/embeddings",
    "/v1/images/",
    "/v1/messages",
    "/v1/responses",
    "/v1/conversations",
];

/// True for a path of a vendor's dialect.
pub(super) fn is_vendors(path: &str) -> bool {
    VENDORS_PATHS.iter().any(|start| path.starts_with(start))
}

#[tokio::test]
async fn field_of_a_wrong_type_is_named_on_every_route() {
    Table::start(takes_json).await.check(cases).await;
}

#[tokio::test]
async fn list_in_the_place_of_a_nested_object_is_refused_on_every_route() {
    Table::start(takes_json).await.check(lists_for_objects).await;
}

/// A list in the place of each nested object of the body: an empty one, and one with a value of the object's first field.
fn lists_for_objects(row: &Row) -> Vec<Case> {
    let lists = |object: &NestedObject| [json!([]), json!([object.first_value])];
    let objects = row.operation.nested_objects.iter();
    let cases = objects.flat_map(|object| {
        lists(object).map(|list| {
            let name = format!("{list} as {}", object.path());
            Case::body(name, object.body(list).to_string()).at(object.field())
        })
    });
    cases.collect()
}

fn cases(row: &Row) -> Vec<Case> {
    let Some(Value::Object(example)) = &row.operation.body else { return Vec::new() };
    let path = row.operation.path.as_str();
    let unknown = match is_vendors(path) {
        true => Expected::Any,
        false => Expected::Refused,
    };
    let text = Value::Object(example.clone()).to_string();
    let mut cases = vec![
        Case::body("an unknown field", with_first(&text, "\"x_unknown\":1"))
            .at("x_unknown")
            .expecting(unknown),
    ];
    for (field, value) in example {
        let twice = with_first(&text, &format!("{}:{value}", Value::from(field.as_str())));
        cases.push(Case::body(format!("{field} twice"), twice).at(field));
        for (kind, wrong) in wrong_values(value) {
            let body = with_value(example, field, &wrong);
            cases.push(Case::body(format!("{kind} as {field}"), body).at(field).expecting(Expected::Any));
        }
    }
    cases
}

/// Values of other types than that of the example.
fn wrong_values(value: &Value) -> Vec<(&'static str, String)> {
    let mut values = vec![
        ("a negative number", "-1".to_owned()),
        ("a huge number", "1e400".to_owned()),
        ("a number of 25 digits", "1234567890123456789012345".to_owned()),
        ("a fraction", "1.5".to_owned()),
        ("null", "null".to_owned()),
        ("a boolean", "true".to_owned()),
        ("a list of a number", "[7]".to_owned()),
        ("an object of an unknown field", "{\"x_unknown\":1}".to_owned()),
        ("a text of 200 KB", Value::from("x".repeat(LONG_TEXT_CHARS)).to_string()),
        ("lists of many levels", format!("{}{}", "[".repeat(LEVELS), "]".repeat(LEVELS))),
    ];
    if !value.is_string() {
        values.push(("a text", "\"text\"".to_owned()));
    }
    if value.is_string() {
        values.push(("an empty text", "\"\"".to_owned()));
    }
    values
}

/// The object with a further field at its beginning.
fn with_first(object: &str, field: &str) -> String {
    let comma = if object == "{}" { "" } else { "," };
    format!("{{{field}{comma}{}", &object[1..])
}

/// The object with another value of a field, as JSON.
fn with_value(object: &serde_json::Map<String, Value>, field: &str, value: &str) -> String {
    let fields = object.iter().map(|(name, own)| {
        let name_text = Value::from(name.as_str());
        if name == field { format!("{name_text}:{value}") } else { format!("{name_text}:{own}") }
    });
    format!("{{{}}}", fields.collect::<Vec<String>>().join(","))
}
