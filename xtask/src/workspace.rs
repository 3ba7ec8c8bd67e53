//! Where the workspace is, and what is in it, as `cargo metadata` says.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use cargo_metadata::{MetadataCommand, Package};

use crate::environment;

pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    /// The build folder, wherever `CARGO_TARGET_DIR` or a cargo configuration puts it.
    pub(crate) target: PathBuf,
    pub(crate) packages: Vec<Package>,
}

impl Workspace {
    pub(crate) fn load() -> Result<Self> {
        let metadata = MetadataCommand::new().no_deps().exec().context("cannot read the workspace")?;
        Ok(Self {
            root: metadata.workspace_root.into_std_path_buf(),
            target: metadata.target_directory.into_std_path_buf(),
            packages: metadata.packages,
        })
    }

    /// A program to run at the root, with the same build folder as this one, however deep it calls cargo.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root).env("CARGO_TARGET_DIR", &self.target);
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
