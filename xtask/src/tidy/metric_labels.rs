//! Every label of a metric has a bounded set of values: each value is kept for as long as the process lives, so that one
//! which clients choose would fill the memory.

use super::tree::Tree;

/// The labels that there are, and what bounds their values.
const LABELS: [(&str, &str); 10] = [
    ("method", "nine methods and `other`"),
    ("route", "the routes' templates and `none`"),
    ("status", "HTTP's status codes"),
    ("code", "the error codes"),
    ("provider", "the providers in the settings, and the nodes"),
    ("model", "the files in the node's model folder"),
    ("result", "words in the source"),
    ("reason", "words in the source"),
    ("how", "words in the source"),
    ("why", "words in the source"),
];

pub(super) fn check(tree: &Tree) -> Vec<String> {
    let mut problems = Vec::new();
    for (path, text) in tree.texts().filter(|(path, _)| path.ends_with(".rs") && !path.starts_with("xtask/"))
    {
        for kind in ["counter!(", "gauge!(", "histogram!("] {
            for (at, _) in text.match_indices(kind) {
                let described = text[..at].ends_with("describe_");
                let call = &text[at..];
                let end = call.find(");").or_else(|| call.find(")\n")).unwrap_or(call.len());
                if described {
                    continue;
                }
                let line = text[..at].lines().count();
                for label in labels(&call[..end]) {
                    if !LABELS.iter().any(|(known, _)| *known == label) {
                        problems.push(format!(
                            "{path}:{line}: the label {label:?} isn't in the list of labels with bounded values"
                        ));
                    }
                }
            }
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
