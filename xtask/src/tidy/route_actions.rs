//! Each operation of the API's description has the action that it takes, and `docs/permissions.md` the table of actions.

use serde_json::Value;

use super::tree::Tree;
use crate::{openapi, permissions_page};

/// Operations of a path in a description; its other fields are none.
const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

pub(super) fn check(tree: &Tree) -> Vec<String> {
    let path = openapi::PATH;
    let Some(text) = tree.text(path) else { return vec![format!("{path}: not there")] };
    let Ok(description) = serde_json::from_str::<Value>(text) else {
        return vec![format!("{path}: isn't JSON")];
    };
    let mut problems =
        operations(&description).filter_map(|operation| problem(&description, operation)).collect::<Vec<_>>();
    let page = permissions_page::render(text);
    if page.as_deref().ok() != tree.text(permissions_page::PATH) {
        let page = permissions_page::PATH;
        problems.push(format!("{page}: differs from {path}; `cargo xtask openapi` generates it"));
    }
    problems
}

/// The operations of a description: method, path, operation.
fn operations(description: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    description["paths"].as_object().into_iter().flatten().flat_map(|(path, item)| {
        let operations = item.as_object().into_iter().flatten();
        operations
            .filter(|(method, _)| METHODS.contains(&method.as_str()))
            .map(|(method, operation)| (method.as_str(), path.as_str(), operation))
    })
}

fn problem(description: &Value, (method, path, operation): (&str, &str, &Value)) -> Option<String> {
    let table = &description["x-hearth-permissions"];
    let route = format!("{} {path}", method.to_uppercase());
    let reason = table["exceptions"].get(&route);
    let security = operation["security"].as_array().into_iter().flatten();
    // An empty requirement stands for no credential.
    let takes_credential = security.clone().any(|one| one.as_object().is_some_and(|one| !one.is_empty()));
    let Some(action) = operation["x-hearth-action"].as_str() else {
        return Some(format!(
            "{route}: has no action; add it by `guarded`, `open` or `guarded_by_handler` of shared/http/src/serve.rs"
        ));
    };
    let is_action = table["actions"].as_array().into_iter().flatten().any(|one| one["name"] == action);
    match (action, is_action) {
        ("node", _) if !takes_credential => Some(format!("{route}: is for nodes, but has no `security`")),
        ("node", _) => None,
        ("none", _) if reason.is_none() => Some(format!("{route}: takes no permission, without a reason")),
        ("none", _) if takes_credential => Some(format!("{route}: takes no permission, but has `security`")),
        ("none", _) => None,
        (_, false) => Some(format!("{route}: has the unknown action {action:?}")),
        (_, true) if !takes_credential => Some(format!("{route}: takes a permission, but has no `security`")),
        (_, true) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn operation_without_a_valid_action_is_a_problem() {
        let security = json!([{"token": []}]);
        let description = json!({
            "paths": {
                "/a": {"get": {"x-hearth-action": "read", "security": security}, "post": {}, "parameters": []},
                "/b": {"get": {"x-hearth-action": "none"}, "put": {"x-hearth-action": "none"}},
                "/c": {"get": {"x-hearth-action": "read"}, "post": {"x-hearth-action": "none", "security": security}},
                "/e": {"get": {"x-hearth-action": "node", "security": security}, "post": {"x-hearth-action": "node"}},
                "/d": {"get": {"x-hearth-action": "write", "security": security}},
            },
            "x-hearth-permissions": {
                "actions": [{"name": "read"}],
                "exceptions": {"GET /b": "probes", "POST /c": "probes"},
            },
        });
        let problems =
            operations(&description).filter_map(|one| problem(&description, one)).collect::<Vec<_>>();
        let expected = [
            "POST /a: has no action",
            "PUT /b: takes no permission, without a reason",
            "GET /c: takes a permission, but has no `security`",
            "POST /c: takes no permission, but has `security`",
            "GET /d: has the unknown action \"write\"",
            "POST /e: is for nodes, but has no `security`",
        ];
        assert_eq!(problems.len(), expected.len(), "{problems:#?}");
        for beginning in expected {
            assert!(
                problems.iter().any(|problem| problem.starts_with(beginning)),
                "{beginning}: {problems:#?}"
            );
        }
    }
}
