//! `sam build` and the folder that `cargo xtask package` makes, of the functions that the gate has built: without another build.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::scratch::Scratch;
use crate::package::{self, Arch, FUNCTIONS, NO_STORES};
use crate::shell;
use crate::venv::Venv;
use crate::workspace::{BUILD_BINARIES, Workspace};

/// Unpacks a zip with the modes of its files, as Lambda does.
const UNZIP: &str = "\
import os, sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as file:
    for entry in file.infolist():
        os.chmod(file.extract(entry, sys.argv[2]), entry.external_attr >> 16)";

pub(super) fn run(workspace: &Workspace, venv: &Venv) -> Result<()> {
    let Some(arch) = Arch::of_this_machine() else {
        println!("no release: this machine builds no functions of Lambda");
        return Ok(());
    };
    shell::run(&mut workspace.cargo(BUILD_BINARIES))?;
    let scratch = Scratch::new("release")?;
    let out = scratch.0.join("out");
    let prebuilt = workspace.output("dev");
    package::release(workspace, venv, arch, &out, Some(&prebuilt))?;
    let mut sha256sum = workspace.command("sha256sum");
    shell::run(sha256sum.args(["--check", "--quiet", "SHA256SUMS"]).current_dir(&out))?;
    for (name, event) in FUNCTIONS {
        let folder = scratch.0.join(name);
        let mut unzip = venv.command(workspace, "python");
        shell::run(unzip.args(["-c", UNZIP]).arg(package::zip(&out, name, arch)).arg(&folder))?;
        let Some(event) = event else { continue };
        let mut emulator = workspace.command(workspace.binary("dev", "lambda-emulator"));
        emulator.envs(NO_STORES).args(["measure", "--rounds", "1", "--invokes", "1"]);
        shell::run(emulator.arg(folder.join("bootstrap")).arg(format!("events/{event}")))?;
    }
    refuses_other_processor(workspace, arch, &scratch.0)
}

/// # Errors
/// `make` copies a function that is built for another processor than the template says.
fn refuses_other_processor(workspace: &Workspace, arch: Arch, scratch: &Path) -> Result<()> {
    let other = if arch == Arch::Arm64 { Arch::X86_64 } else { Arch::Arm64 };
    let template = scratch.join("other.yaml");
    fs::write(&template, format!("    Architectures: [{}]\n", other.name()))
        .context("cannot write a template")?;
    let mut make = workspace.command("make");
    make.args(["--directory", "infra", "build-OpsFunction"]).env("TEMPLATE", &template);
    make.env("PREBUILT", workspace.output("dev")).env("ARTIFACTS_DIR", scratch);
    println!("$ {} # must fail", shell::line(&make));
    let output = make.output().context("cannot start make")?;
    let text = String::from_utf8_lossy(&output.stderr);
    ensure!(!output.status.success(), "make took a function that is not built for {}", other.name());
    ensure!(text.contains("is not built for"), "make failed for another reason: {text}");
    Ok(())
}
