//! CONTRIBUTING.md lists the suites of `tests/suites`.

use std::collections::BTreeSet;

use super::tree::Tree;

const LIST: &str = "CONTRIBUTING.md";
const FOLDER: &str = "tests/suites/";
/// Heading of the section with the table of suites.
const SECTION: &str = "## Tests";

pub(super) fn check(tree: &Tree) -> Vec<String> {
    let suites: BTreeSet<&str> = tree
        .paths()
        .filter_map(|path| path.strip_prefix(FOLDER)?.split('/').next())
        .map(|name| name.strip_suffix(".rs").unwrap_or(name))
        .collect();
    let text = tree.text(LIST).unwrap_or_default();
    let section = text.split_once(SECTION).map_or("", |(_, section)| section);
    let section = section.split("\n## ").next().unwrap_or_default();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let listed: BTreeSet<&str> = rows.collect();
    let missing =
        suites.difference(&listed).map(|name| format!("{LIST}: no row for the suite {FOLDER}{name}"));
    let stale = listed.difference(&suites).map(|name| format!("{LIST}: there is no suite {FOLDER}{name}"));
    missing.chain(stale).collect()
}
