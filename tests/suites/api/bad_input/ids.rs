//! Ids in paths that name nothing.

use reqwest::Method;

use super::table::{Case, Expected, Row, Table};

const LONG_ID_CHARS: usize = 10_000;
/// Paths of which a part is a name of the caller's own choice.
const CHOSEN_NAMES: [&str; 3] = ["/labels/{label}", "/v1/providers/{name}/key", "/v1/job-pauses/{kind}"];

#[tokio::test]
async fn id_that_names_nothing_is_refused_on_every_route() {
    Table::start(|operation| operation.path.contains('{') && !operation.is_for_nodes)
        .await
        .check(cases)
        .await;
}

fn cases(row: &Row) -> Vec<Case> {
    let template: Vec<&str> = row.operation.path.split('/').collect();
    let path = row.path();
    let path: Vec<&str> = path.split('/').collect();
    assert_eq!(template.len(), path.len(), "{}", row.operation);
    let long = "a".repeat(LONG_ID_CHARS);
    let ids = [
        ("an id of a wrong form", "x"),
        ("an id of nobody", "01J9ZX5V2QH8N4T6W0C3M7K1RB"),
        ("slashes", "a%2Fb%2F"),
        ("a parent folder", "..%2F..%2Fetc%2Fpasswd"),
        ("dots in percent", "%2e%2e%2f%2e%2e"),
        ("10,000 characters", &long),
        ("control characters", "%00%01%0A%0D%1B"),
        ("invalid UTF-8", "%FF%FE"),
        ("quotes", "%27%20OR%20%22%3Cscript%3E"),
        ("an incomplete escape", "%2"),
    ];
    let mut cases = Vec::new();
    for (index, segment) in template.iter().enumerate().filter(|(_, segment)| segment.starts_with('{')) {
        let rest = segment.split_once('}').map_or("", |(_, rest)| rest);
        for (name, id) in ids {
            let mut changed: Vec<String> = path.iter().map(|&part| part.to_owned()).collect();
            changed[index] = format!("{id}{rest}");
            // Without a node of that model: 503.
            let is_models = row.operation.path.contains("/models/");
            let is_chosen = CHOSEN_NAMES.iter().any(|name| row.operation.path.ends_with(name));
            // What isn't there can be deleted twice.
            let is_repeatable = row.operation.method == Method::DELETE;
            let expected =
                if is_chosen || is_models || is_repeatable { Expected::Any } else { Expected::Refused };
            cases.push(Case {
                name: format!("{name} as {segment}"),
                path: Some(changed.join("/")),
                body: row.example().map(String::into_bytes),
                expected,
                is_raw: id.contains("%2e") || id.contains("..") || id.ends_with("%2"),
                ..Case::default()
            });
        }
    }
    cases
}
