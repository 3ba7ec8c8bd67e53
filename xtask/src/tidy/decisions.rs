//! The decisions are numbered without a gap, and all listed.

use super::tree::Tree;

const PAGES: &str = "docs/decisions";
const LIST: &str = "docs/decisions/README.md";

pub(super) fn check(tree: &Tree) -> Vec<String> {
    let mut problems = Vec::new();
    let list = tree.text(LIST);
    if list.is_none() {
        problems.push(format!("{LIST}: not there"));
    }
    // In the order of their names, and so of their numbers.
    let mut next = 1;
    for page in tree.names_in(PAGES) {
        let Some(number) = number(page) else {
            problems.push(format!("{PAGES}/{page}: not named like 0001-what-was-decided.md"));
            continue;
        };
        if number != next {
            problems.push(format!("{PAGES}/{page}: the next number is {next:04}"));
        }
        next = number + 1;
        if list.is_some_and(|list| !list.contains(page)) {
            problems.push(format!("{PAGES}/{page}: {LIST} does not list it"));
        }
    }
    problems
}

fn number(page: &str) -> Option<u32> {
    let (number, title) = page.strip_suffix(".md")?.split_once('-')?;
    let four_digits = number.len() == 4 && number.bytes().all(|byte| byte.is_ascii_digit());
    (four_digits && !title.is_empty()).then(|| number.parse().ok()).flatten()
}
