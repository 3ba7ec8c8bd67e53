//! Operations of the API by method and path: their ids, and the ids in the path.

use std::sync::{Arc, LazyLock, OnceLock};

use http::Method;
use percent_encoding::percent_decode_str;

use crate::{
    documented_routes::{Documentation, DocumentedOperation},
    no_route,
};

/// Longest id of a path in an entry.
const ID_MAX_CHARS: usize = 200;

/// Operations of a function's routes. A guard is made before all routes are there, so it gets the table later.
#[derive(Debug, Clone, Default)]
pub(crate) struct OperationSlot(Arc<OnceLock<Arc<OperationTable>>>);

impl OperationSlot {
    pub(crate) fn fill(&self, table: &Arc<OperationTable>) {
        let _ = self.0.set(Arc::clone(table));
    }

    /// The table; empty where no router was made of the routes.
    pub(crate) fn table(&self) -> &OperationTable {
        self.0.get_or_init(|| Arc::new(OperationTable::new(Documentation::default())))
    }
}

/// Operations, read from the documentation at the first entry.
#[derive(Debug)]
pub(crate) struct OperationTable(LazyLock<Vec<DocumentedOperation>, ReadOperations>);

/// Function that reads the operations from the documentation.
type ReadOperations = Box<dyn FnOnce() -> Vec<DocumentedOperation> + Send>;

impl OperationTable {
    pub(crate) fn new(documentation: Documentation) -> Self {
        Self(LazyLock::new(Box::new(move || documentation.operations())))
    }

    /// The id of the operation, and the ids in the path. `route`: the pattern that the router has matched, which may be
    /// a wildcard for several operations. `names_exist`: the request has found what its path names. Otherwise a client may
    /// have written anything there, a code or a password too, and only what has the form of an id is returned.
    pub(crate) fn find(
        &self,
        method: &Method,
        route: &str,
        path: &str,
        names_exist: bool,
    ) -> Option<(&str, Vec<String>)> {
        let path: Vec<&str> = path.split('/').collect();
        let literals = |pattern: &str| pattern.split('/').filter(|segment| !segment.starts_with('{')).count();
        let of_method = self.0.iter().filter(|operation| operation.method == method.as_str());
        let matching = of_method.filter_map(|operation| {
            let pattern: Vec<&str> = operation.path.split('/').collect();
            Some((operation, captures(&pattern, &path)?))
        });
        let (operation, ids) =
            matching.max_by_key(|(operation, _)| (operation.path == route, literals(&operation.path)))?;
        Some((&operation.id, ids.iter().map(|id| readable(id, names_exist)).collect()))
    }
}

/// The values of a pattern's parameters. One stands for one or more segments: a model's id may have slashes.
fn captures(pattern: &[&str], path: &[&str]) -> Option<Vec<String>> {
    let Some((first, pattern)) = pattern.split_first() else { return path.is_empty().then(Vec::new) };
    let Some((_, suffix)) = first.strip_prefix('{').and_then(|name| name.split_once('}')) else {
        let (segment, path) = path.split_first()?;
        return if segment == first { captures(pattern, path) } else { None };
    };
    (1..=path.len()).find_map(|count| {
        let (value, path) = path.split_at_checked(count)?;
        let rest = captures(pattern, path)?;
        let value = value.join("/");
        let value = value.strip_suffix(suffix).filter(|value| !value.is_empty())?;
        Some([vec![value.to_owned()], rest].concat())
    })
}

/// True for a prefix and a ULID, such as `tok_01J9ZX5V2QH8N4T6W0C3M7K1RB`.
fn is_id(text: &str) -> bool {
    text.split_once('_').is_some_and(|(prefix, ulid)| {
        (1..=6).contains(&prefix.len())
            && prefix.bytes().all(|byte| byte.is_ascii_lowercase())
            && ulid.len() == 26
            && ulid.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase())
    })
}

/// An id for the log: decoded, bounded, and nothing that may be a secret.
fn readable(id: &str, exists: bool) -> String {
    let id = percent_decode_str(id).decode_utf8_lossy();
    if no_route::may_be_secret(&id) || !(exists || is_id(&id)) {
        return "***".to_owned();
    }
    id.chars().take(ID_MAX_CHARS).map(|c| if c.is_control() { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> OperationTable {
        let operations = [
            ("POST", "/v1/users/tokens", "create_token"),
            ("DELETE", "/v1/users/tokens/{id}", "revoke_token"),
            ("GET", "/v1/users/tokens/{id}", "get_token"),
            ("POST", "/v1/models/{id}/load", "load_model"),
            ("DELETE", "/v1/models/{id}", "remove_model"),
            ("DELETE", "/v1/providers/{name}/key", "remove_key"),
            ("POST", "/v1beta/models/{model}:generateContent", "gemini_generate"),
        ];
        let operations = operations.map(|(method, path, id)| DocumentedOperation {
            method,
            path: path.to_owned(),
            id: id.to_owned(),
        });
        OperationTable(LazyLock::new(Box::new(move || operations.into())))
    }

    #[test]
    fn operation_and_ids_follow_from_method_and_path() {
        for (method, path, id, ids) in [
            ("POST", "/v1/users/tokens", "create_token", vec![]),
            ("DELETE", "/v1/users/tokens/tok_1", "revoke_token", vec!["tok_1"]),
            ("POST", "/v1/models/org/name-7b/load", "load_model", vec!["org/name-7b"]),
            ("DELETE", "/v1/models/a%20b", "remove_model", vec!["a b"]),
            ("DELETE", "/v1/providers/sk-secret/key", "remove_key", vec!["***"]),
            ("POST", "/v1beta/models/x:generateContent", "gemini_generate", vec!["x"]),
        ] {
            let table = table();
            let operation = table.find(&method.parse().unwrap(), "", path, true);
            assert_eq!(
                operation,
                Some((id, ids.into_iter().map(str::to_owned).collect())),
                "{method} {path}"
            );
        }
        assert_eq!(table().find(&Method::PUT, "", "/v1/users/tokens", true), None);
        assert_eq!(table().find(&Method::POST, "", "/v1/other", true), None);
    }

    #[test]
    fn path_of_a_failed_request_is_logged_only_if_it_is_an_id() {
        let id = "tok_01J9ZX5V2QH8N4T6W0C3M7K1RB";
        for (text, logged) in [(id, id), ("hinv_abc", "***"), ("a-password", "***"), ("tok_1", "***")] {
            let table = table();
            let operation = table.find(&Method::DELETE, "", &format!("/v1/users/tokens/{text}"), false);
            assert_eq!(operation, Some(("revoke_token", vec![logged.to_owned()])));
        }
    }
}
