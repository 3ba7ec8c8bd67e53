//! No file has a path of the machine that it was written on.

use super::tree::Tree;

/// The first folder of a path that only ever means one person's machine. Without slashes, so that this file
/// passes its own check.
const FOLDERS: [&str; 3] = ["root", "work", "home"];

pub(super) fn check(tree: &Tree) -> Vec<String> {
    let mut problems = Vec::new();
    for (path, text) in tree.texts() {
        for (number, line) in text.lines().enumerate() {
            if let Some(folder) = FOLDERS.into_iter().find(|folder| names_machine(line, folder)) {
                problems.push(format!("{path}:{}: a path in /{folder} is one machine's own", number + 1));
            }
        }
    }
    problems
}

/// Returns whether the line has a path below this folder. The folder alone passes, and so does the same name inside a
/// longer path or a URL.
fn names_machine(line: &str, folder: &str) -> bool {
    let prefix = format!("/{folder}/");
    line.match_indices(&prefix).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + prefix.len()..].chars().next();
        let begins = before.is_none_or(|c| !(c.is_alphanumeric() || "/.~-_*}>".contains(c)));
        begins && after.is_some_and(|c| c.is_alphanumeric() || c == '.' || c == '_')
    })
}
