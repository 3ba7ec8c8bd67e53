//! `cargo xtask dist`: a folder that runs wherever it is copied.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::shell;
use crate::tools::{self, Tool};
use crate::workspace::Workspace;

/// What `dist` is asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// Features of the binary beside the default ones, such as `cuda`.
    features: Option<String>,
    /// Where to; `dist/hearth` in the target folder when absent.
    out: Option<PathBuf>,
}

impl Options {
    pub(crate) fn parse(arguments: &[String]) -> Result<Self> {
        let mut options = Self::default();
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let value = rest.next().with_context(|| format!("`{argument}` needs a value"))?;
            match argument.as_str() {
                "--features" => options.features = Some(value.clone()),
                "--out" => options.out = Some(value.into()),
                other => bail!("`cargo xtask dist` takes `--features` and `--out`, not `{other}`"),
            }
        }
        Ok(options)
    }
}

pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    tools::ensure(workspace, &Tool::TO_BUILD)?;
    build(workspace, options.features.as_deref())?;
    let out = options.out.clone().unwrap_or_else(|| workspace.target.join("dist/hearth"));
    fs::create_dir_all(&out).with_context(|| format!("{} can't be made", out.display()))?;
    let binary = workspace.binary("release", "hearth");
    let built = binary.parent().context("a binary is in a folder")?;
    let mut bytes = copy(&binary, &out)?;
    for entry in fs::read_dir(built)? {
        let path = entry?.path();
        // Links between the libraries' names are for linking.
        if is_library(&path) && !path.is_symlink() {
            bytes += copy(&path, &out)?;
        }
    }
    println!("{} ({} MiB)", out.display(), bytes >> 20);
    Ok(())
}

/// The release build that `up` and `dist` share.
pub(crate) fn build(workspace: &Workspace, features: Option<&str>) -> Result<()> {
    let mut cargo = workspace.cargo(["build", "--release", "--package", "hearth", "--bin", "hearth"]);
    if let Some(features) = features {
        cargo.args(["--features", features]);
    }
    shell::run(&mut cargo)
}

fn is_library(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let ours = name.starts_with("libggml") || name.starts_with("libllama");
    ours && (name.contains(".so") || name.ends_with(".dylib"))
}

fn copy(file: &Path, folder: &Path) -> Result<u64> {
    let name = file.file_name().context("a file has a name")?;
    fs::copy(file, folder.join(name)).with_context(|| format!("{} can't be copied", file.display()))
}
