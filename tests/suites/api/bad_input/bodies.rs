//! Bodies that aren't the JSON object that the operation takes.

use hearth_tests::permission_matrix::Operation;

use super::table::{Case, Expected, Row, Table};

/// Operations whose fields are all optional: no body is an empty object.
const OPTIONAL_BODIES: [&str; 3] = ["/v1/conversations", "/v1/sessions", "/v1/sessions/{id}/regenerate"];
/// Operation whose body may be of any shape.
const ANY_SHAPE: &str = "/v1/sessions/import";
/// Paths of Ollama's dialect, whose clients send JSON as any media type.
const ANY_MEDIA_TYPE: &str = "/api/";
const LEVELS: usize = 200;

/// True for an operation with a JSON body that a user may send.
pub(super) fn takes_json(operation: &Operation) -> bool {
    operation.body.as_ref().is_some_and(|body| !body.is_null())
        && !operation.is_form
        && !operation.is_for_nodes
}

#[tokio::test]
async fn body_that_is_no_json_object_is_refused_on_every_route() {
    Table::start(takes_json).await.check(cases).await;
}

fn cases(row: &Row) -> Vec<Case> {
    let Some(example) = row.example() else { return Vec::new() };
    let path = row.operation.path.as_str();
    let refused_unless = |is_allowed| if is_allowed { Expected::Any } else { Expected::Status(400) };
    let deep_list = format!("{}{}", "[".repeat(LEVELS), "]".repeat(LEVELS));
    let deep_object = format!("{}1{}", "{\"a\":".repeat(LEVELS), "}".repeat(LEVELS));
    let mut cases: Vec<Case> = [
        ("a text", "hello"),
        ("JSON that ends early", "{"),
        ("a number", "7"),
        ("null", "null"),
        ("a string", "\"text\""),
        ("lists of many levels", &deep_list),
        ("text after the body", &format!("{example} more")),
        ("a constant of JavaScript", "{\"a\": NaN}"),
        ("a raw control character", "{\"a\": \"\u{0}\"}"),
    ]
    .into_iter()
    .map(|(name, body)| Case::body(name, body).expecting(Expected::Status(400)))
    .collect();
    cases.push(Case::body("an empty body", "").expecting(refused_unless(OPTIONAL_BODIES.contains(&path))));
    cases.push(Case::body("a list", "[]").expecting(refused_unless(path == ANY_SHAPE)));
    // A dialect may skip an unknown field at any depth.
    cases.push(Case::body("objects of many levels", deep_object).expecting(Expected::Any));
    let invalid = [b"{\"a\": \"\xff\xfe\", ", &example.as_bytes()[1..]].concat();
    cases.push(Case::body("invalid UTF-8", invalid).expecting(Expected::Status(400)));
    for media_type in
        ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "\u{e9}"]
    {
        let expected = match path.starts_with(ANY_MEDIA_TYPE) {
            true => Expected::Any,
            false => Expected::Status(415),
        };
        let case = Case::body(format!("the media type {media_type}"), example.clone());
        let media_type = Some(media_type.as_bytes().to_vec());
        cases.push(Case { media_type, expected, ..case });
    }
    cases
}
