//! `cargo xtask up`: from a machine with cargo to a running Hearth, in one command.

use std::process::Command;

use anyhow::{Context, Result};

use crate::tools::{self, Tool};
use crate::workspace::Workspace;
use crate::{dist, environment};

pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    // Features are for the build, all else is for Hearth.
    let (features, arguments) = match arguments {
        [flag, features, rest @ ..] if flag == "--features" => (Some(features.as_str()), rest),
        arguments => (None, arguments),
    };
    eprintln!("1/3 tools");
    tools::ensure(workspace, &Tool::TO_BUILD)?;
    if environment::processor_has_amx() {
        tools::ensure_optional(workspace, tools::amx_compiler());
    }

    let binary = workspace.binary("release", "hearth");
    let estimate = if binary.exists() { "" } else { " (the first time up to twenty minutes on two cores)" };
    eprintln!("2/3 build{estimate}");
    dist::build(workspace, "release", features)?;

    eprintln!("3/3 start");
    let mut hearth = Command::new(&binary);
    hearth.arg("up").args(arguments);
    for name in environment::set_by_cargo_run() {
        hearth.env_remove(name);
    }
    become_program(&mut hearth).with_context(|| format!("cannot start {}", binary.display()))
}

/// Replaces this process by the program, so that it gets the signals and its exit status is the result.
#[cfg(unix)]
fn become_program(command: &mut Command) -> Result<()> {
    use std::os::unix::process::CommandExt as _;
    Err(command.exec().into())
}

#[cfg(not(unix))]
fn become_program(command: &mut Command) -> Result<()> {
    let status = command.status()?;
    std::process::exit(status.code().unwrap_or(1))
}
