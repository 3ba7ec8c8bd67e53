//! Each error code has a page, and each page a code.

use std::collections::BTreeSet;

use super::tree::Tree;

/// The table of the codes: each on a line of its own, as `Name => "code", ...`.
const CODES: &str = "shared/wire/src/error/code.rs";
const PAGES: &str = "docs/errors";

pub(super) fn check(tree: &Tree) -> Vec<String> {
    let Some(text) = tree.text(CODES) else {
        return vec![format!("{CODES}: not there, so that the pages of {PAGES} cannot be checked")];
    };
    let codes: BTreeSet<&str> = text.lines().filter_map(code).collect();
    if codes.is_empty() {
        return vec![format!("{CODES}: no line is like `Name => \"code\", ...`")];
    }
    let pages: BTreeSet<&str> = tree.names_in(PAGES).collect();
    let without_page = codes
        .iter()
        .filter(|code| !pages.contains(format!("{code}.md").as_str()))
        .map(|code| format!("{PAGES}/{code}.md: not there, and {CODES} has the code"));
    let without_code = pages
        .iter()
        .filter(|page| !page.strip_suffix(".md").is_some_and(|code| codes.contains(code)))
        .map(|page| format!("{PAGES}/{page}: {CODES} has no such code"));
    without_page.chain(without_code).collect()
}

fn code(line: &str) -> Option<&str> {
    let (_, after) = line.split_once("=> \"")?;
    after.split('"').next()
}
