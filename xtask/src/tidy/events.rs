//! Each route has a sample event, and each event a route. `HEAD` and `OPTIONS` of a route may have one.

use std::collections::BTreeSet;

use super::tree::Tree;
use crate::openapi;

const EVENTS: &str = "events";
/// Methods that every route answers, without being documented.
const GENERAL_METHODS: [&str; 2] = ["head_", "options_"];
const METHODS: [&str; 7] = ["get", "put", "post", "delete", "patch", "head", "options"];

pub(super) fn check(tree: &Tree) -> Vec<String> {
    let description = openapi::PATH;
    let Some(text) = tree.text(description) else {
        return vec![format!("{description}: not there; `cargo xtask openapi` writes it")];
    };
    let Some(wanted) = events_of(text) else {
        return vec![format!("{description}: not JSON with `paths`; `cargo xtask openapi` writes it anew")];
    };
    let there: BTreeSet<&str> = tree.names_in(EVENTS).collect();
    let missing = wanted
        .iter()
        .filter(|(_, file)| !there.contains(file.as_str()))
        .map(|(route, file)| format!("{EVENTS}/{file}: not there, and {description} has {route}"));
    let spare = there
        .iter()
        .filter(|file| {
            !wanted.iter().any(|(_, wanted)| wanted == *file || is_general_method_of(file, wanted))
        })
        .map(|file| format!("{EVENTS}/{file}: {description} has no such route"));
    missing.chain(spare).collect()
}

/// Returns whether `file` is the event of a general method for the route of the event `wanted`.
fn is_general_method_of(file: &str, wanted: &str) -> bool {
    let path = GENERAL_METHODS.iter().find_map(|method| file.strip_prefix(method));
    path.is_some() && path == wanted.split_once('_').map(|(_, path)| path)
}

/// Each route (`POST /v1/generate`) with the name of its event.
fn events_of(description: &str) -> Option<Vec<(String, String)>> {
    let value: serde_json::Value = serde_json::from_str(description).ok()?;
    let paths = value.get("paths")?.as_object()?;
    let routes = paths.iter().flat_map(|(path, item)| {
        METHODS
            .iter()
            .filter(|method| item.get(**method).is_some())
            .map(move |method| (format!("{} {path}", method.to_uppercase()), event_name(method, path)))
    });
    Some(routes.collect())
}

/// `get` and `/v1/requests/{id}/events` make `get_v1.requests.id.events.json`.
pub(super) fn event_name(method: &str, path: &str) -> String {
    let path = path.trim_start_matches('/').replace(['/', ':'], ".").replace(['{', '}', '+', '*'], "");
    format!("{method}_{path}.json")
}
