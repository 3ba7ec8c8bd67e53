//! No file is named for being a bag of things.

use super::tree::{Tree, file_name};

const BAGS: [&str; 5] = ["utils", "helpers", "common", "manager", "misc"];

pub(super) fn check(tree: &Tree) -> Vec<String> {
    tree.paths()
        .filter_map(|path| path.strip_suffix(".rs"))
        // The module is named by its folder where its file is mod.rs.
        .filter(|path| BAGS.contains(&file_name(path.strip_suffix("/mod").unwrap_or(path))))
        .map(|path| format!("{path}.rs: says nothing of what is in it; name it for that"))
        .collect()
}
