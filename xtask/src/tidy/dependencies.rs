//! Each dependency of a manifest is named in its crate's sources, and each one of the workspace's table in a manifest.

use std::collections::{BTreeMap, BTreeSet};

use super::tree::{Tree, file_name};

const WORKSPACE: &str = "Cargo.toml";
const TABLE: &str = "workspace.dependencies";
/// Dependencies that no source names as we expect, and the reason.
const UNNAMED: [(&str, &str); 1] = [("dynoxide-rs", "its library is named `dynoxide`")];

pub(super) fn check(tree: &Tree) -> Vec<String> {
    let manifests: Vec<(&str, &str)> =
        tree.texts().filter(|(path, _)| file_name(path) == "Cargo.toml" && *path != WORKSPACE).collect();
    let mut folders: Vec<&str> =
        manifests.iter().filter_map(|(path, _)| path.strip_suffix("Cargo.toml")).collect();
    // A crate may lie in another's folder: its files belong to the deepest one.
    folders.sort_by_key(|folder| std::cmp::Reverse(folder.len()));
    let mut sources: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (path, text) in tree.texts().filter(|(path, _)| path.ends_with(".rs")) {
        if let Some(folder) = folders.iter().find(|folder| path.starts_with(**folder)) {
            sources.entry(folder).or_default().push(text);
        }
    }
    let mut problems = Vec::new();
    let mut inherited = BTreeSet::new();
    for (path, manifest) in &manifests {
        let folder = path.strip_suffix("Cargo.toml").unwrap_or(path);
        for (section, name) in dependencies(manifest) {
            inherited.insert(name);
            let is_named =
                || sources.get(folder).is_some_and(|texts| texts.iter().any(|text| names(text, name)));
            if !UNNAMED.iter().any(|(unnamed, _)| *unnamed == name) && !is_named() {
                problems.push(format!("{path}: no source of the crate names {name} in [{section}]"));
            }
        }
    }
    let table =
        dependencies(tree.text(WORKSPACE).unwrap_or_default()).filter(|(section, _)| *section == TABLE);
    let unused = table.filter(|(_, name)| !inherited.contains(name));
    problems.extend(unused.map(|(_, name)| format!("{WORKSPACE}: no crate depends on {name} in [{TABLE}]")));
    problems
}

/// Section and name of each dependency in a manifest that has one on each line.
fn dependencies(manifest: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut section = "";
    manifest.lines().filter_map(move |line| {
        if let Some(header) = line.strip_prefix('[') {
            section = header.split(']').next().unwrap_or_default();
            return None;
        }
        let name =
            line.split(['=', '.', ' ']).next().filter(|name| !name.is_empty() && !name.starts_with('#'))?;
        (section.ends_with("dependencies") && line.contains('=')).then_some((section, name))
    })
}

/// Returns whether a source has the library's name as the beginning of a path, or alone in a `use`.
fn names(source: &str, dependency: &str) -> bool {
    let library = dependency.replace('-', "_");
    source.match_indices(&library).any(|(at, _)| {
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let after = &source[at + library.len()..];
        !source[..at].ends_with(is_word) && ["::", ";", " as "].iter().any(|end| after.starts_with(end))
    })
}
