//! Names and comments that say what a thing is: a few words that fit any item are no name, and no document begins with a
//! pronoun.

use super::tree::Tree;

/// Words that name nothing by themselves.
const VAGUE_NAMES: [&str; 8] = ["told", "said", "kept", "known", "found", "made", "asked", "given"];
/// Words that replace the subject at the beginning of a doc comment.
const PRONOUNS: [&str; 9] =
    ["What", "Who", "Whoever", "Whom", "Whose", "Whether", "How", "Those", "Whatever"];
/// Keywords before the name of an item.
const ITEMS: [&str; 10] =
    ["fn", "struct", "enum", "union", "type", "mod", "const", "static", "trait", "macro_rules!"];
/// Keywords that may stand before those.
const MODIFIERS: [&str; 6] = ["pub", "async", "unsafe", "const", "default", "extern"];
/// Last words of the names of durations: they say what the duration bounds.
const DURATION_SUFFIXES: [&str; 16] = [
    "TIMEOUT",
    "TTL",
    "INTERVAL",
    "GRACE",
    "DELAY",
    "WINDOW",
    "AGE",
    "PERIOD",
    "DEADLINE",
    "BACKOFF",
    "LIMIT",
    "THRESHOLD",
    "SLICE",
    "MAX",
    "MIN",
    "DAY",
];

pub(super) fn check(tree: &Tree) -> Vec<String> {
    let mut problems = Vec::new();
    for (path, text) in tree.texts().filter(|(path, _)| path.ends_with(".rs")) {
        let mut previous = None;
        for (number, line) in text.lines().enumerate().map(|(index, line)| (index + 1, line.trim_start())) {
            let marker = ["///", "//!"].into_iter().find(|marker| line.starts_with(marker));
            if let Some(marker) = marker {
                let first =
                    line[marker.len()..].split(|c: char| !c.is_alphanumeric()).nth(1).unwrap_or_default();
                if previous != Some(marker) && PRONOUNS.contains(&first) {
                    problems.push(format!(
                        "{path}:{number}: the comment begins with {first}; begin with the noun of the item, or a verb"
                    ));
                }
            } else if let Some((keyword, name)) = item(line) {
                if VAGUE_NAMES.contains(&name.to_ascii_lowercase().as_str()) {
                    problems.push(format!(
                        "{path}:{number}: {name} names nothing; use the noun, or verb and object"
                    ));
                }
                if is_unnamed_duration(keyword, name, line) {
                    problems.push(format!(
                        "{path}:{number}: {name} is a Duration; end its name with one of {}",
                        DURATION_SUFFIXES.join(", ")
                    ));
                }
            }
            previous = marker;
        }
    }
    problems
}

/// Keyword and name of the item that a line defines.
fn item(line: &str) -> Option<(&str, &str)> {
    let mut words = line.split_whitespace().peekable();
    loop {
        let word = words.next()?;
        let next = words.peek().copied().unwrap_or_default();
        let is_modifier =
            MODIFIERS.contains(&word) && (word != "const" || ITEMS.contains(&next) || next == "async");
        if is_modifier || word.starts_with("pub(") || word == "\"C\"" {
            continue;
        }
        let name =
            next.trim_start_matches("r#").split(|c: char| !(c.is_alphanumeric() || c == '_')).next()?;
        return (ITEMS.contains(&word) && !name.is_empty()).then_some((word, name));
    }
}

fn is_unnamed_duration(keyword: &str, name: &str, line: &str) -> bool {
    let Some((_, after)) = line.split_once(&format!("{name}:")) else { return false };
    let kind = after.split(['=', ';']).next().unwrap_or_default().trim();
    let last_word = name.rsplit('_').next().unwrap_or_default();
    matches!(keyword, "const" | "static")
        && kind.rsplit("::").next() == Some("Duration")
        && !DURATION_SUFFIXES.contains(&last_word)
}
