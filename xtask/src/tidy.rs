//! `cargo xtask tidy`: what the tree must look like, where no compiler would say so.
//!
//! Each check is a function from what it reads to the list of its problems, so that a test can give it a
//! bad tree. All run, and all problems are shown.

mod arrows;
mod decisions;
mod environment_leaks;
mod error_pages;
mod events;
mod file_names;
mod length;
mod lock_files;
mod metric_labels;
mod tree;
mod unguarded_routes;

#[cfg(test)]
mod tests;

use anyhow::{Result, bail};

use self::tree::Tree;
use crate::openapi;
use crate::workspace::Workspace;

pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let tree = Tree::load(&workspace.root)?;
    let mut problems = of_the_tree(workspace, &tree);
    problems.extend(description(&tree, &openapi::describe(workspace)?));
    for problem in &problems {
        println!("{problem}");
    }
    match problems.len() {
        0 => {
            println!("tidy: {} files", tree.len());
            Ok(())
        }
        1 => bail!("tidy found 1 problem"),
        count => bail!("tidy found {count} problems"),
    }
}

/// Every check that needs no build.
fn of_the_tree(workspace: &Workspace, tree: &Tree) -> Vec<String> {
    [
        arrows::check(&workspace.packages),
        length::check(tree),
        error_pages::check(tree),
        events::check(tree),
        file_names::check(tree),
        environment_leaks::check(tree),
        lock_files::check(tree),
        decisions::check(tree),
        metric_labels::check(tree),
        unguarded_routes::check(tree),
    ]
    .concat()
}

/// The API's description in the tree against the one that the routes give.
fn description(tree: &Tree, from_the_routes: &str) -> Vec<String> {
    let path = openapi::PATH;
    if tree.text(path) == Some(from_the_routes) {
        return Vec::new();
    }
    vec![format!("{path}: differs from the routes; `cargo xtask openapi` writes it anew")]
}
