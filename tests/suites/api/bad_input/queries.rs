//! Parameters of queries: wrong types, unknown and repeated ones, and cursors of other lists.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::json;

use super::{
    fields::is_vendors,
    table::{Case, Expected, Row, Table},
};

const LONG_VALUE_CHARS: usize = 5_000;
/// Names of a page's size, of the cursor, and of the next page's cursor in the answer.
const PAGES: [[&str; 3]; 2] =
    [["limit", "cursor", "next_cursor"], ["pageSize", "pageToken", "nextPageToken"]];
/// Links that browsers and mail programs open, which add parameters of their own.
const LINKS: [&str; 2] = ["/v1/artifacts/{id}", "/v1/files/uploads/{id}/content"];
/// Lists that have a second page here, at least.
const CURSORS_MIN_COUNT: usize = 5;

/// Cursors by the operation.
type Cursors = BTreeMap<String, String>;

#[tokio::test]
async fn parameter_that_cannot_be_obeyed_is_named_on_every_route() {
    let table = Table::start(|operation| !operation.query.is_empty() && !operation.is_for_nodes).await;
    let cursors = cursors(&table).await;
    assert!(cursors.len() >= CURSORS_MIN_COUNT, "{cursors:?}");
    table.check(|row| cases(row, &cursors)).await;
}

/// The cursor of the second page of each list that has one.
async fn cursors(table: &Table) -> Cursors {
    let mut cursors = Cursors::new();
    for row in table.rows() {
        let Some([size, _, next]) = page_of(row) else { continue };
        let client = table.home.client().with_token(Some(&row.token));
        if row.operation.path == "/v1/sessions" {
            for title in ["first", "second"] {
                let session = client.post("/v1/sessions", &json!({"title": title})).await;
                assert_eq!(session.status, 201, "{session:?}");
            }
        }
        let page = client.get(&format!("{}?{size}=1", row.path())).await;
        if page.status == 200
            && let Some(cursor) = page.json()[next].as_str()
        {
            cursors.insert(row.operation.path.clone(), cursor.to_owned());
        }
    }
    cursors
}

fn page_of(row: &Row) -> Option<[&'static str; 3]> {
    let has = |name: &str| row.operation.query.iter().any(|parameter| parameter == name);
    PAGES
        .into_iter()
        .find(|[size, cursor, _]| row.operation.method == Method::GET && has(size) && has(cursor))
}

fn cases(row: &Row, cursors: &Cursors) -> Vec<Case> {
    let path = row.path();
    let case = |name: String, query: String| Case {
        name,
        path: Some(format!("{path}?{query}")),
        body: row.example().map(String::into_bytes),
        expected: Expected::Any,
        ..Case::default()
    };
    let is_open = is_vendors(&row.operation.path) || LINKS.contains(&row.operation.path.as_str());
    let mut cases = Vec::new();
    let unknown = case("an unknown parameter".to_owned(), "x_unknown=1".to_owned()).at("x_unknown");
    cases.push(unknown.expecting(if is_open { Expected::Any } else { Expected::Status(400) }));
    for name in &row.operation.query {
        let long = "x".repeat(LONG_VALUE_CHARS);
        let values = [
            ("a text", "zzz"),
            ("a negative number", "-1"),
            ("a huge number", "99999999999999999999999"),
            ("an empty text", ""),
            ("invalid UTF-8", "%FF"),
            ("a control character", "%00"),
            ("an object", "%7B%7D"),
            ("5,000 characters", &long),
        ];
        for (kind, value) in values {
            cases.push(case(format!("{kind} as {name}"), format!("{name}={value}")).at(name));
        }
        cases.push(case(format!("{name} twice"), format!("{name}=1&{name}=1")).at(name));
    }
    let Some([_, name, _]) = page_of(row) else { return cases };
    let refused = |kind: &str, cursor: &str| {
        let query = match row.operation.path.ends_with("/search") {
            true => format!("query=a&{name}={cursor}"),
            false => format!("{name}={cursor}"),
        };
        case(format!("{kind} as {name}"), query).at(name).expecting(Expected::Status(400))
    };
    for (list, cursor) in cursors {
        if *list == row.operation.path {
            cases.push(refused("a cursor with another byte", &with_another_byte(cursor)));
        } else if !is_same_list(list, &row.operation.path) {
            cases.push(refused(&format!("a cursor of {list}"), cursor));
        }
    }
    cases
}

/// True for one list in two dialects.
fn is_same_list(one: &str, other: &str) -> bool {
    let models = ["/v1/models", "/v1beta/models"];
    models.contains(&one) && models.contains(&other)
}

fn with_another_byte(cursor: &str) -> String {
    let middle = cursor.len() / 2;
    let byte = if cursor.as_bytes()[middle] == b'A' { 'B' } else { 'A' };
    format!("{}{byte}{}", &cursor[..middle], &cursor[middle + 1..])
}
