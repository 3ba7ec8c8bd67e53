//! Root, target folder and packages of the workspace, from `cargo metadata`.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::{environment, shell};

/// Selects every package, with the features that the tests need. All steps of the gate select the same: another choice
/// would compile the packages again.
pub(crate) const WHOLE_WORKSPACE: [&str; 3] = ["--workspace", "--features", "hearth/aws"];

/// Builds the binary `hearth` with the features of a build of the whole workspace and its tests.
///
/// Cargo enables the features that the packages at hand ask for, and those of dev-dependencies only where a test is built.
/// Another choice of packages or targets would compile the dependencies again.
pub(crate) const BUILD_HEARTH: [&str; 8] =
    ["build", "--workspace", "--bin", "hearth", "--test", "store", "--features", "hearth/aws"];

/// Builds all binaries, with the same features.
pub(crate) const BUILD_BINARIES: [&str; 7] =
    ["build", "--workspace", "--bins", "--test", "store", "--features", "hearth/aws"];

pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    /// The build folder, wherever `CARGO_TARGET_DIR` or a cargo configuration puts it.
    pub(crate) target: PathBuf,
    pub(crate) packages: Vec<Package>,
    /// Variables of each program that is run.
    variables: Vec<(&'static str, &'static str)>,
}

/// A package of the workspace.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Package {
    pub(crate) name: String,
    /// The names of its direct dependencies, ours and others'.
    pub(crate) dependencies: Vec<(String, DependencyKind)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DependencyKind {
    Normal,
    Development,
    Build,
}

impl Workspace {
    /// Reads `cargo metadata`.
    ///
    /// The output is parsed as plain JSON: a crate with its types would have the first build compile serde's macros
    /// before anything else starts.
    ///
    /// # Errors
    /// This is no workspace, or cargo writes something else.
    pub(crate) fn load() -> Result<Self> {
        let arguments = ["metadata", "--format-version", "1", "--no-deps"];
        let json =
            shell::output(Command::new("cargo").args(arguments)).context("cannot read the workspace")?;
        let metadata: Value = serde_json::from_slice(&json).context("`cargo metadata` wrote no JSON")?;
        Ok(Self {
            root: text(&metadata, "workspace_root")?.into(),
            target: text(&metadata, "target_directory")?.into(),
            packages: list(&metadata, "packages")?.iter().map(Package::parse).collect::<Result<_>>()?,
            variables: Vec::new(),
        })
    }

    /// Compiles our crates with clippy's driver, with its lints as errors.
    ///
    /// `cargo clippy` checks all dependencies, and `cargo build` compiles them again: check and build share nothing.
    /// Clippy's driver compiles too, so that one build does both.
    pub(crate) fn with_lints(self) -> Self {
        // As `cargo clippy -- -D warnings` passes it.
        let arguments = ("CLIPPY_ARGS", "-D__CLIPPY_HACKERY__warnings");
        Self { variables: vec![("RUSTC_WORKSPACE_WRAPPER", "clippy-driver"), arguments], ..self }
    }

    /// A program to run at the root, with the same build folder as this one, however deep it calls cargo.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root).env("CARGO_TARGET_DIR", &self.target);
        command.envs(self.variables.iter().copied());
        for name in environment::set_by_cargo_run() {
            command.env_remove(name);
        }
        command
    }

    pub(crate) fn cargo<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = self.command("cargo");
        command.args(arguments);
        command
    }

    /// The build folder.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// The folder that cargo writes the programs of a profile to.
    pub(crate) fn output(&self, profile: &str) -> PathBuf {
        // Cargo's own profile `dev` has another folder's name.
        self.target.join(if profile == "dev" { "debug" } else { profile })
    }

    /// A binary of the workspace, where cargo leaves it.
    pub(crate) fn binary(&self, profile: &str, name: &str) -> PathBuf {
        self.output(profile).join(name).with_extension(std::env::consts::EXE_EXTENSION)
    }
}

impl Package {
    fn parse(value: &Value) -> Result<Self> {
        let dependency = |value: &Value| -> Result<(String, DependencyKind)> {
            let kind = match value.get("kind").and_then(Value::as_str) {
                Some("dev") => DependencyKind::Development,
                Some("build") => DependencyKind::Build,
                _ => DependencyKind::Normal,
            };
            Ok((text(value, "name")?.to_owned(), kind))
        };
        Ok(Self {
            name: text(value, "name")?.to_owned(),
            dependencies: list(value, "dependencies")?.iter().map(dependency).collect::<Result<_>>()?,
        })
    }
}

fn text<'a>(value: &'a Value, field: &str) -> Result<&'a str> {
    let text = value.get(field).and_then(Value::as_str);
    text.with_context(|| format!("`cargo metadata` has no text `{field}`"))
}

fn list<'a>(value: &'a Value, field: &str) -> Result<&'a Vec<Value>> {
    let list = value.get(field).and_then(Value::as_array);
    list.with_context(|| format!("`cargo metadata` has no list `{field}`"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn package_has_dependencies_with_their_kinds() {
        let dependency = |name: &str, kind: Value| json!({"name": name, "kind": kind});
        let dependencies =
            [dependency("a", Value::Null), dependency("b", json!("dev")), dependency("c", json!("build"))];
        let package = Package::parse(&json!({"name": "p", "dependencies": dependencies})).unwrap();
        let kinds: Vec<_> = package.dependencies.iter().map(|(name, kind)| (name.as_str(), *kind)).collect();
        assert_eq!(
            kinds,
            [("a", DependencyKind::Normal), ("b", DependencyKind::Development), ("c", DependencyKind::Build)]
        );
        assert!(Package::parse(&json!({"name": "p"})).is_err());
    }
}
