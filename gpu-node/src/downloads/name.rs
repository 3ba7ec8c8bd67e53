//! Names of repositories and files. They become paths on this machine, so names that could lead out of the model folder are
//! refused.

use std::{
    path::{Path, PathBuf},
    str::FromStr,
};

/// The reason why a name is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadName(&'static str);

impl std::fmt::Display for BadName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for BadName {}

/// The default revision of a repository.
const MAIN: &str = "main";

/// A repository, `owner/name`, at one of its revisions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepoName {
    name: String,
    revision: String,
}

impl RepoName {
    /// The name, with its slash.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// The branch, tag or commit.
    #[must_use]
    pub fn revision(&self) -> &str {
        &self.revision
    }

    /// Returns whether the revision is the default.
    #[must_use]
    pub fn is_main(&self) -> bool {
        self.revision == MAIN
    }

    /// The same repository at another revision.
    ///
    /// # Errors
    /// The name isn't that of a branch, a tag or a commit.
    pub fn at(self, revision: &str) -> Result<Self, BadName> {
        if !is_repo_part(revision) {
            return Err(BadName("the revision must be a branch, tag or commit without slashes"));
        }
        Ok(Self { revision: revision.to_owned(), ..self })
    }

    /// The folder for the repository's files in `models_folder`. Another revision has other files of the same names.
    #[must_use]
    pub fn folder_in(&self, models_folder: &Path) -> PathBuf {
        match self.is_main() {
            true => models_folder.join(&self.name),
            false => models_folder.join(format!("{}@{}", self.name, self.revision)),
        }
    }
}

impl FromStr for RepoName {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        match text.split_once('/') {
            Some((owner, name)) if is_repo_part(owner) && is_repo_part(name) => {
                Ok(Self { name: text.to_owned(), revision: MAIN.to_owned() })
            }
            _ => Err(BadName("write it as OWNER/NAME, of letters, digits, `-`, `_` and `.`")),
        }
    }
}

/// Follows the hub's own rule, and refuses a leading dot or dash: a hidden folder, or one that looks like an option.
fn is_repo_part(part: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    (1..=96).contains(&part.len())
        && part.chars().all(allowed)
        && !part.starts_with(['.', '-'])
        && !part.contains("..")
}

/// A model file in a repository, by its path there: `model.gguf`, `q4/model.gguf`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileName(String);

impl FileName {
    /// The path, with slashes.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last part of the path.
    #[must_use]
    pub fn last(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }
}

impl FromStr for FileName {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        if !text.ends_with(".gguf") {
            return Err(BadName("a model file's name ends with .gguf"));
        }
        if text.len() > 512 || !text.split('/').all(is_file_part) {
            return Err(BadName("write a relative path of plain names, without `..`"));
        }
        Ok(Self(text.to_owned()))
    }
}

fn is_file_part(part: &str) -> bool {
    let refused = |c: char| c.is_control() || matches!(c, '\\' | ':');
    (1..=200).contains(&part.len()) && !part.starts_with('.') && !part.contains(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repository_name_is_checked() {
        for good in ["Qwen/Qwen3-0.6B-GGUF", "a/b", "unsloth/gemma_3.1"] {
            assert!(good.parse::<RepoName>().is_ok(), "{good}");
        }
        let long = format!("a/{}", "b".repeat(97));
        for bad in [
            "",
            "a",
            "a/",
            "/b",
            "a/b/c",
            "../b",
            "a/..",
            "a/.b",
            "-a/b",
            "a/b..c",
            "a b/c",
            "a/b\0",
            "a\\b/c",
            "https://huggingface.co/a/b",
            &long,
        ] {
            assert!(bad.parse::<RepoName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn file_name_is_checked() {
        for good in ["m.gguf", "q4/m-Q4_K_M.gguf", "my model (1).gguf", "a..b.gguf"] {
            assert!(good.parse::<FileName>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "m",
            "m.bin",
            ".gguf",
            "/m.gguf",
            "../m.gguf",
            "a/../m.gguf",
            "a//m.gguf",
            "./m.gguf",
            "..\\m.gguf",
            "c:m.gguf",
            "a\nb.gguf",
            "m.gguf/",
        ] {
            assert!(bad.parse::<FileName>().is_err(), "{bad}");
        }
    }
}
