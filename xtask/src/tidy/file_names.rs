//! No file has a name that fits any content.

use super::tree::{Tree, file_name};

const VAGUE_NAMES: [&str; 5] = ["utils", "helpers", "common", "manager", "misc"];

pub(super) fn check(tree: &Tree) -> Vec<String> {
    tree.paths()
        .filter_map(|path| path.strip_suffix(".rs"))
        // The module is named by its folder where its file is mod.rs.
        .filter(|path| VAGUE_NAMES.contains(&file_name(path.strip_suffix("/mod").unwrap_or(path))))
        .map(|path| format!("{path}.rs: the name fits any content; name it for what is in it"))
        .collect()
}
