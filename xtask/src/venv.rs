//! Python environments in the build folder, created again only when their requirements change.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::workspace::Workspace;
use crate::{environment, shell};

pub(crate) struct Venv {
    folder: PathBuf,
}

impl Venv {
    /// The environment `name` with what the file `requirements` (relative to the root) lists.
    pub(crate) fn from_file(workspace: &Workspace, name: &str, requirements: &str) -> Result<Self> {
        let text = read_requirements(&workspace.root.join(requirements))?;
        Self::create(workspace, name, &text, &["--requirement", requirements])
    }

    /// The environment `name` with these packages, each pinned as `name==version`.
    pub(crate) fn of_packages(workspace: &Workspace, name: &str, packages: &[&str]) -> Result<Self> {
        Self::create(workspace, name, &packages.join("\n"), packages)
    }

    fn create(workspace: &Workspace, name: &str, requirements: &str, install: &[&str]) -> Result<Self> {
        let venv = Self { folder: workspace.target.join(name) };
        let python = shell::output(workspace.command("python3").arg("--version"))?;
        // An environment belongs to the version of Python that created it.
        let wanted = format!("{}\n{requirements}", String::from_utf8_lossy(&python).trim());
        let stamp = venv.folder.join("requirements.stamp");
        if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
            return Ok(venv);
        }
        shell::run(workspace.command("python3").args(["-m", "venv", "--clear"]).arg(&venv.folder))?;
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
        shell::run(venv.command(workspace, "python").args(pip).args(install))?;
        fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))?;
        Ok(venv)
    }

    /// A program of the environment, with the environment's own programs first on its `PATH`.
    pub(crate) fn command(&self, workspace: &Workspace, program: &str) -> Command {
        let programs = self.programs();
        let mut command = workspace.command(self.program(program));
        command.env("PATH", environment::path_with(&programs)).env("VIRTUAL_ENV", &self.folder);
        // No __pycache__ beside the sources.
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }

    /// Returns the path of a program of the environment.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.programs().join(name)
    }

    fn programs(&self) -> PathBuf {
        self.folder.join(Path::new(if cfg!(windows) { "Scripts" } else { "bin" }))
    }
}

/// Reads a file of requirements, with those that it includes.
fn read_requirements(path: &Path) -> Result<String> {
    let mut text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let included: Vec<PathBuf> = text
        .lines()
        .filter_map(|line| line.strip_prefix("-r "))
        .map(|name| path.with_file_name(name))
        .collect();
    for path in included {
        text.push_str(&read_requirements(&path)?);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn included_requirements_are_read() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.txt"), "-r b.txt\nx==1\n").unwrap();
        fs::write(folder.path().join("b.txt"), "y==2\n").unwrap();
        assert_eq!(read_requirements(&folder.path().join("a.txt")).unwrap(), "-r b.txt\nx==1\ny==2\n");
    }
}
