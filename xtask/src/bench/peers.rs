//! Other gateways, installed once from PyPI and npm into the build folder.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::shell;
use crate::tools::{self, Tool};
use crate::venv::Venv;
use crate::workspace::Workspace;

/// Gateways of PyPI: name and program. The versions are in `bench/peers/NAME.txt`.
const OF_PYPI: [(&str, &str); 3] = [("tensorzero", "python"), ("smg", "smg"), ("litellm", "litellm")];

/// Gateway of npm, with its version and checksums.
const PORTKEY: &str = "bench/peers/portkey";
/// Program of that gateway.
const PORTKEY_SERVER: &str = "node_modules/@portkey-ai/gateway/build/start-server.js";

/// Gateway that can't be installed anywhere, with the reason.
const BIFROST: &str = "bifrost:npm's @maximhq/bifrost fetches its program from a site of its own, unpinned and without \
                       a checksum";

/// Installs the gateways below `folder`, and returns the values of `hearth-bench gateway --peer`: a program, or the reason
/// why there is none.
pub(super) fn ensure(workspace: &Workspace, folder: &Path) -> Vec<String> {
    let of_pypi = OF_PYPI.map(|(name, program)| (name, pypi(workspace, folder, name, program)));
    let portkey = ("portkey", portkey(workspace, folder));
    let value = |(name, installed): (&str, Result<PathBuf>)| match installed {
        Ok(program) => format!("{name}={}", program.display()),
        Err(error) => format!("{name}:{error:#}"),
    };
    of_pypi.into_iter().chain([portkey]).map(value).chain([BIFROST.to_owned()]).collect()
}

fn pypi(workspace: &Workspace, folder: &Path, name: &str, program: &str) -> Result<PathBuf> {
    tools::ensure(workspace, &[Tool::Python])?;
    let venv = folder.strip_prefix(&workspace.target).unwrap_or(folder).join(name);
    let venv = venv.to_str().context("the build folder's path is not UTF-8")?;
    Venv::from_file(workspace, venv, &format!("bench/peers/{name}.txt")).map(|venv| venv.program(program))
}

fn portkey(workspace: &Workspace, folder: &Path) -> Result<PathBuf> {
    tools::ensure(workspace, &[Tool::Node])?;
    let (from, to) = (workspace.root.join(PORTKEY), folder.join("portkey"));
    let program = to.join(PORTKEY_SERVER);
    let lock = fs::read(from.join("package-lock.json")).context("cannot read its package-lock.json")?;
    let stamp = to.join("installed.stamp");
    if fs::read(&stamp).is_ok_and(|installed| installed == lock) {
        return Ok(program);
    }
    fs::create_dir_all(&to).with_context(|| format!("cannot make {}", to.display()))?;
    for file in ["package.json", "package-lock.json"] {
        fs::copy(from.join(file), to.join(file)).with_context(|| format!("cannot copy its {file}"))?;
    }
    let mut npm = workspace.command("npm");
    npm.current_dir(&to).args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
    shell::run(&mut npm)?;
    ensure!(program.is_file(), "npm installed it, and {PORTKEY_SERVER} is not there");
    fs::write(&stamp, lock).with_context(|| format!("cannot write {}", stamp.display()))?;
    Ok(program)
}
