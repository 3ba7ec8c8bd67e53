//! `cargo xtask bench`: builds Hearth and the programs that it is compared with, and runs the benchmark.

mod llama_server;
mod peers;

use std::process::Command;

use anyhow::{Result, bail};

use crate::workspace::Workspace;
use crate::{dist, environment, shell, tools};

/// Runs a benchmark of the node, the gateway, the relay, sessions or the store, or the soak test. The rest of `arguments` is passed to the
/// benchmark, except `--portable`, which measures the binary that `cargo xtask dist` ships.
///
/// # Errors
/// A program cannot be built or run, or the soak test failed.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    if let Some(("store", options)) = arguments.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        return shell::run(workspace.cargo(STORE).arg("--").args(options));
    }
    let Some(subject @ ("node" | "gateway" | "relay" | "sessions" | "soak")) =
        arguments.first().map(String::as_str)
    else {
        bail!("`cargo xtask bench` takes `node`, `gateway`, `relay`, `sessions`, `store` or `soak`");
    };
    let (ours, arguments): (Vec<&str>, Vec<&str>) =
        arguments.iter().map(String::as_str).partition(|argument| *argument == "--portable");
    tools::ensure_for_this_machine(workspace)?;
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
    if subject == "node" {
        bench.arg("--llama-server").arg(llama_server::ensure(workspace, &folder)?);
        bench.arg("--cache").arg(&folder);
    }
    if subject == "gateway" {
        bench.args((profile == dist::PORTABLE).then_some("--lto"));
        bench.args(peers::ensure(workspace, &folder).iter().flat_map(|peer| ["--peer", peer]));
    }
    shell::run(&mut bench)
}

/// The benchmark of the store is a program of the tests, which have the store that it is compared with.
const STORE: [&str; 6] = ["run", "--release", "--package", "hearth-tests", "--bin", "bench-store"];
/// Builds two packages instead of the workspace: with the functions' features the measured binary would contain the clients
/// of AWS.
const BUILD: [&str; 6] = ["build", "--release", "--package", "hearth", "--package", "hearth-bench"];
