//! Lock files and lists of requirements name only the public registries, and no mirror of one machine.

use super::tree::{Tree, file_name};

const CRATES: &str = "registry+https://github.com/rust-lang/crates.io-index";
const NPM: &str = "https://registry.npmjs.org/";

pub(super) fn check(tree: &Tree) -> Vec<String> {
    tree.texts()
        .flat_map(|(path, text)| {
            let foreign: fn(&str) -> bool = match file_name(path) {
                "Cargo.lock" => |line| value(line, "source = ").is_some_and(|source| source != CRATES),
                "package-lock.json" => {
                    |line| value(line, "\"resolved\": ").is_some_and(|url| !url.starts_with(NPM))
                }
                "requirements.txt" => |line| line.starts_with("--") && !line.starts_with("--require-hashes"),
                _ => |_| false,
            };
            let at = move |(number, line): (usize, &str)| {
                format!("{path}:{}: not from the public registry: {}", number + 1, line.trim())
            };
            text.lines().enumerate().filter(move |(_, line)| foreign(line)).map(at)
        })
        .collect()
}

/// The quoted text after `key`, where the line begins with that.
fn value<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    line.trim_start().strip_prefix(key)?.strip_prefix('"')?.split('"').next()
}
