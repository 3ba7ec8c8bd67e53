//! Files that git would commit, with their text.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::shell;

/// Files by their path from the root. A file that isn't UTF-8 has no text.
pub(super) struct Tree(BTreeMap<String, Option<String>>);

impl Tree {
    pub(super) fn load(root: &Path) -> Result<Self> {
        let mut git = Command::new("git");
        // In a container the checkout often belongs to another user, which git would refuse to read.
        git.args(["-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
        let list = shell::output(git.current_dir(root)).context("tidy needs a git checkout")?;
        let list = String::from_utf8(list).context("a file name is not UTF-8")?;
        let mut files = BTreeMap::new();
        for path in list.split_terminator('\0') {
            let file = root.join(path);
            // Deleted and not yet staged, a link, or a submodule.
            if !fs::symlink_metadata(&file).is_ok_and(|metadata| metadata.is_file()) {
                continue;
            }
            let bytes = fs::read(&file).with_context(|| format!("cannot read {path}"))?;
            files.insert(path.to_owned(), String::from_utf8(bytes).ok());
        }
        Ok(Self(files))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn paths(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    pub(super) fn contains(&self, path: &str) -> bool {
        self.0.contains_key(path)
    }

    pub(super) fn text(&self, path: &str) -> Option<&str> {
        self.0.get(path)?.as_deref()
    }

    /// Returns path and text of every text file.
    pub(super) fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().filter_map(|(path, text)| Some((path.as_str(), text.as_deref()?)))
    }

    /// Returns the names of the files directly in a folder, except its README.
    pub(super) fn names_in(&self, folder: &str) -> impl Iterator<Item = &str> {
        let inside = move |path| str::strip_prefix(path, folder)?.strip_prefix('/');
        self.paths().filter_map(inside).filter(|name| !name.contains('/') && *name != "README.md")
    }

    #[cfg(test)]
    pub(super) fn of<const N: usize>(files: [(&str, &str); N]) -> Self {
        Self(files.map(|(path, text)| (path.to_owned(), Some(text.to_owned()))).into())
    }
}

/// Returns the last part of a path.
pub(super) fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
