//! `cargo xtask tidy`: rules of the tree that no compiler checks.
//!
//! Each check is a function from a tree to the list of its problems, so that a test can run it on a bad tree. All checks
//! run, and all problems are printed.

mod boxed_futures;
mod decisions;
mod dependencies;
mod dependency_rules;
mod doc_paths;
mod environment_leaks;
mod error_pages;
mod events;
mod file_names;
mod length;
mod lock_files;
mod metrics;
mod route_actions;
mod settings;
mod suites;
mod template_routes;
mod tree;
mod unguarded_routes;
mod words;

#[cfg(test)]
mod tests;

use anyhow::{Result, bail};

use self::tree::Tree;
use crate::openapi;
use crate::workspace::Workspace;

pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let tree = Tree::load(&workspace.root)?;
    let mut problems = check_tree(workspace, &tree);
    problems.extend(check_description(&tree, &openapi::describe(workspace)?));
    problems.extend(settings::check(&tree, &settings::list(workspace)?));
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

/// Runs every check that needs no build.
fn check_tree(workspace: &Workspace, tree: &Tree) -> Vec<String> {
    [
        dependency_rules::check(&workspace.packages),
        dependency_rules::check_table(tree),
        dependencies::check(tree),
        boxed_futures::check(tree),
        length::check(tree),
        words::check(tree),
        error_pages::check(tree),
        events::check(tree),
        file_names::check(tree),
        environment_leaks::check(tree),
        doc_paths::check(tree),
        lock_files::check(tree),
        decisions::check(tree),
        metrics::check(tree),
        route_actions::check(tree),
        suites::check(tree),
        template_routes::check(tree),
        unguarded_routes::check(tree),
    ]
    .concat()
}

/// Compares the API's description in the tree with the one that the routes generate.
fn check_description(tree: &Tree, generated: &str) -> Vec<String> {
    let path = openapi::PATH;
    if tree.text(path) == Some(generated) {
        return Vec::new();
    }
    vec![format!("{path}: differs from the routes; `cargo xtask openapi` generates it")]
}
