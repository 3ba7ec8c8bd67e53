//! `cargo xtask bench`: builds Hearth as it is shipped and what it is compared with, and measures.

mod llama_server;
mod peers;

use std::process::Command;

use anyhow::{Result, bail};

use crate::tools::{self, Tool};
use crate::workspace::Workspace;
use crate::{dist, environment, shell};

/// Measures the node or the gateway, or wears everything: what follows in `arguments` is for the program that does it,
/// but for `--portable`, which measures the binary that `cargo xtask dist` ships.
///
/// # Errors
/// Something cannot be built or run, or the soak lost something.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    let Some(what @ ("node" | "gateway" | "soak")) = arguments.first().map(String::as_str) else {
        bail!("`cargo xtask bench` takes `node`, `gateway` or `soak`");
    };
    let (ours, arguments): (Vec<&str>, Vec<&str>) =
        arguments.iter().map(String::as_str).partition(|argument| *argument == "--portable");
    tools::ensure(workspace, &Tool::TO_BUILD)?;
    shell::run(&mut workspace.cargo(BUILD))?;
    let profile = if ours.is_empty() { "release" } else { dist::PORTABLE };
    if profile == dist::PORTABLE {
        dist::build(workspace, profile, None)?;
    }
    let mut bench = Command::new(workspace.binary("release", "hearth-bench"));
    for name in environment::set_by_cargo_run() {
        bench.env_remove(name);
    }
    bench.args(arguments).arg("--hearth").arg(workspace.binary(profile, "hearth"));
    let folder = workspace.target.join("bench");
    if what == "node" {
        bench.arg("--llama-server").arg(llama_server::ensure(workspace, &folder)?);
        bench.arg("--cache").arg(&folder);
    }
    if what == "gateway" {
        bench.args((profile == dist::PORTABLE).then_some("--lto"));
        bench.args(peers::ensure(workspace, &folder).iter().flat_map(|peer| ["--peer", peer]));
    }
    shell::run(&mut bench)
}

/// Not the whole workspace: the functions' features would put the clients of AWS into the binary that is measured.
const BUILD: [&str; 6] = ["build", "--release", "--package", "hearth", "--package", "hearth-bench"];
