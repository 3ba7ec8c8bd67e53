//! Paths in the documentation exist, and so do the tests that docs/security.md names.

use std::collections::BTreeSet;

use super::tree::Tree;

/// The page that has tests as its evidence: `name` in `path`.
const SECURITY: &str = "docs/security.md";
/// Pages of the past, whose paths are those of their time.
const DECISIONS: &str = "docs/decisions/";
/// First folders of paths that are checked. A crate's own, `gateway/src`, may stand without `shared/`.
const FOLDERS: [&str; 10] =
    ["bench", "cli", "docs", "events", "functions", "gpu-node", "infra", "shared", "tests", "xtask"];

pub(super) fn check(tree: &Tree) -> Vec<String> {
    let folders: BTreeSet<&str> = tree.paths().flat_map(folders_of).collect();
    let exists = |path: &str| tree.contains(path) || folders.contains(path);
    let mut problems = Vec::new();
    for (page, text) in tree.texts().filter(|(path, _)| path.ends_with(".md") && !path.starts_with(DECISIONS))
    {
        for (index, line) in text.lines().enumerate() {
            let mut tests = Vec::new();
            for span in line.split('`').skip(1).step_by(2) {
                if is_test_name(span) {
                    tests.push(span);
                }
                if !is_path(span, &folders) {
                    continue;
                }
                let path = span.trim_end_matches('/');
                if !exists(path) && !exists(&format!("shared/{path}")) {
                    problems.push(format!("{page}:{}: there is no {path}", index + 1));
                }
                let text = tree.text(path).unwrap_or_default();
                let missing =
                    tests.drain(..).filter(|name| page == SECURITY && !text.contains(&format!("fn {name}(")));
                problems
                    .extend(missing.map(|name| format!("{page}:{}: {path} has no test {name}", index + 1)));
            }
        }
    }
    problems
}

/// The folders above a path, without a slash at the end.
fn folders_of(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| &path[..at])
}

fn is_path(text: &str, folders: &BTreeSet<&str>) -> bool {
    let Some((first, rest)) = text.split_once('/') else { return false };
    let is_plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "_-./".contains(c));
    let of_a_crate = || rest.starts_with("src") && folders.contains(format!("shared/{first}").as_str());
    is_plain && !rest.is_empty() && (FOLDERS.contains(&first) || of_a_crate())
}

/// Returns whether a text looks like a test's name: three words or more with underscores between.
fn is_test_name(text: &str) -> bool {
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    text.matches('_').count() >= 2 && text.chars().all(is_name)
}
