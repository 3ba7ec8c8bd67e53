//! No source file is too long to be read at once.

use super::tree::{Tree, file_name};

/// Most lines of a file without its tests.
const MAX_LINES: usize = 400;

pub(super) fn check(tree: &Tree) -> Vec<String> {
    tree.texts()
        .filter(|(path, _)| path.ends_with(".rs") && !is_test(path))
        .map(|(path, text)| (path, lines_of_code(text)))
        .filter(|(_, lines)| *lines > MAX_LINES)
        .map(|(path, lines)| format!("{path}: {lines} lines without its tests, and {MAX_LINES} are allowed"))
        .collect()
}

fn is_test(path: &str) -> bool {
    file_name(path) == "tests.rs" || path.split('/').rev().skip(1).any(|folder| folder == "tests")
}

/// Counts the lines outside `#[cfg(test)] mod name { ... }`, whose end follows from rustfmt's indentation.
pub(super) fn lines_of_code(text: &str) -> usize {
    let mut count = 0;
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let opens = |next: &&str| {
            let next = next.trim_start();
            (next.starts_with("mod ") || next.starts_with("pub(crate) mod ")) && next.ends_with('{')
        };
        if line.trim() == "#[cfg(test)]" && lines.peek().is_some_and(opens) {
            let indent = &line[..line.len() - line.trim_start().len()];
            let end = format!("{indent}}}");
            lines.by_ref().find(|inner| *inner == end);
        } else {
            count += 1;
        }
    }
    count
}
