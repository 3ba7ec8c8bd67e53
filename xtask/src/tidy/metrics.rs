//! Metrics: every label has a bounded set of values, docs/metrics.md lists every metric, each has a description, and rules and
//! dashboards name no others.
//!
//! Each value of a label stays in memory until the process ends, so that values which clients choose would fill it.

use std::collections::{BTreeMap, BTreeSet};

use super::tree::Tree;

const PAGE: &str = "docs/metrics.md";
/// The file with the text of each metric's `HELP` line.
const DESCRIPTIONS: &str = "shared/telemetry/src/metrics/descriptions.rs";
/// Folder of the rules and dashboards that read the metrics.
const OBSERVABILITY: &str = "infra/observability/";
/// Prefixes of the names of our metrics.
const PREFIXES: [&str; 3] = ["hearth_", "gen_ai_", "process_"];
/// Folders whose code may record metrics.
const FOLDERS: [&str; 4] = ["shared/", "functions/", "gpu-node/src/", "cli/src/"];
/// Macros that record a metric.
const MACROS: [&str; 3] = ["counter!(", "gauge!(", "histogram!("];
/// Labels, and the bound of each one's values.
const LABELS: [(&str, &str); 23] = [
    ("method", "nine methods and `other`"),
    ("route", "the routes' templates and `none`"),
    ("status", "HTTP's status codes"),
    ("code", "the error codes"),
    ("provider", "the providers in the settings, the nodes, and `own`"),
    (
        "model",
        "the files in the node's model folder, the models of the settings and of the table, and `other`",
    ),
    ("gen_ai_operation_name", "words in the source"),
    ("gen_ai_provider_name", "as `provider`"),
    ("gen_ai_request_model", "as `model`"),
    ("gen_ai_token_type", "words in the source"),
    ("error_type", "the error codes"),
    ("node", "the registered nodes"),
    ("stage", "words in the source"),
    ("percent", "the thresholds of budgets"),
    ("outcome", "words in the source"),
    ("version", "the version of this build"),
    ("result", "words in the source"),
    ("reason", "words in the source"),
    ("how", "words in the source"),
    ("why", "words in the source"),
    ("kind", "words in the source"),
    ("state", "words in the source"),
    ("target", "words in the source"),
];

/// Call of a macro that records a metric.
struct Recording<'a> {
    path: &'a str,
    line: usize,
    /// Text of the call, up to its end.
    call: &'a str,
}

pub(super) fn check(tree: &Tree) -> Vec<String> {
    let recordings = recordings(tree);
    [unbounded_labels(&recordings), undocumented(tree, &recordings), unknown_in_observability(tree)].concat()
}

fn recordings(tree: &Tree) -> Vec<Recording<'_>> {
    let mut recordings = Vec::new();
    for (path, text) in tree.texts().filter(|(path, _)| is_source(path)) {
        for start in MACROS {
            for (at, _) in text.match_indices(start).filter(|(at, _)| !text[..*at].ends_with("describe_")) {
                let call = &text[at..];
                let end = call.find(");").or_else(|| call.find(")\n")).unwrap_or(call.len());
                recordings.push(Recording { path, line: text[..at].lines().count(), call: &call[..end] });
            }
        }
    }
    recordings
}

fn is_source(path: &str) -> bool {
    path.ends_with(".rs") && FOLDERS.iter().any(|folder| path.starts_with(folder))
}

fn unbounded_labels(recordings: &[Recording<'_>]) -> Vec<String> {
    let mut problems = Vec::new();
    for Recording { path, line, call } in recordings {
        for label in labels(call).filter(|label| LABELS.iter().all(|(listed, _)| listed != label)) {
            problems.push(format!(
                "{path}:{line}: the label {label:?} isn't in the list of labels with bounded values"
            ));
        }
    }
    problems
}

/// The names of labels in a call, `"name" => value`.
fn labels(call: &str) -> impl Iterator<Item = &str> {
    call.split(" =>").filter(|part| part.ends_with('"')).filter_map(|part| {
        let name = part.strip_suffix('"')?;
        Some(&name[name.rfind('"')? + 1..])
    })
}

/// Compares the metrics of the code, and their labels, with the rows of the page: `| name | type | labels | meaning |`.
fn undocumented(tree: &Tree, recordings: &[Recording<'_>]) -> Vec<String> {
    let mut recorded: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for recording in recordings {
        let Some(name) = recording.call.split('"').nth(1).filter(|name| is_ours(name)) else {
            continue;
        };
        recorded.entry(name).or_default().extend(labels(recording.call));
    }
    let page = tree.text(PAGE).unwrap_or_default();
    let documented: BTreeMap<&str, BTreeSet<&str>> = page.lines().filter_map(row).collect();
    let missing = recorded.iter().filter_map(|(name, labels)| match documented.get(name) {
        None => Some(format!("{PAGE}: no row for {name}")),
        Some(listed) if listed != labels => {
            Some(format!("{PAGE}: the row of {name} has other labels than the code: {labels:?}"))
        }
        Some(_) => None,
    });
    let stale = documented.keys().filter(|name| !recorded.contains_key(**name));
    let descriptions = tree.text(DESCRIPTIONS).unwrap_or_default();
    let described: BTreeSet<&str> = descriptions.split('"').filter(|text| is_ours(text)).collect();
    let undescribed = recorded.keys().filter(|name| !described.contains(**name));
    let unrecorded = described.iter().filter(|name| !recorded.contains_key(**name));
    missing
        .chain(stale.map(|name| format!("{PAGE}: nothing records {name}")))
        .chain(undescribed.map(|name| format!("{DESCRIPTIONS}: no description of {name}")))
        .chain(unrecorded.map(|name| format!("{DESCRIPTIONS}: nothing records {name}")))
        .collect()
}

/// Finds metrics in the rules and dashboards that the page doesn't have: such an alert never fires.
fn unknown_in_observability(tree: &Tree) -> Vec<String> {
    let page = tree.text(PAGE).unwrap_or_default();
    let documented: BTreeSet<&str> = page.lines().filter_map(row).map(|(name, _)| name).collect();
    let is_known = |name: &str| {
        let parts = ["_bucket", "_sum", "_count"].into_iter().filter_map(|suffix| name.strip_suffix(suffix));
        std::iter::once(name).chain(parts).any(|name| documented.contains(name))
            || LABELS.iter().any(|(label, _)| *label == name)
    };
    let mut problems = BTreeSet::new();
    for (path, text) in tree.texts().filter(|(path, _)| path.starts_with(OBSERVABILITY)) {
        if path.ends_with(".json") || path.ends_with(".yml") {
            let words = text.split(|char: char| !char.is_ascii_alphanumeric() && char != '_');
            for name in words.filter(|word| is_ours(word) && !is_known(word)) {
                problems.insert(format!("{path}: {PAGE} has no metric {name}"));
            }
        }
    }
    problems.into_iter().collect()
}

fn row(line: &str) -> Option<(&str, BTreeSet<&str>)> {
    let mut cells = line.strip_prefix("| `")?.split('|');
    let name = cells.next()?.trim().strip_suffix('`').filter(|name| is_ours(name))?;
    Some((name, cells.nth(1)?.split('`').skip(1).step_by(2).collect()))
}

fn is_ours(name: &str) -> bool {
    PREFIXES.iter().any(|prefix| name.starts_with(prefix)) && !name.contains(char::is_whitespace)
}
