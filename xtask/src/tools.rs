//! What must be on the machine before a build or a check, and how it gets there.

mod libclang;
mod packages;

use std::process::Command;

use anyhow::{Result, bail};

use crate::workspace::Workspace;
use crate::{environment, shell};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tool {
    Cmake,
    CxxCompiler,
    Make,
    /// The library that bindgen reads llama.cpp's headers with, and clang's own headers beside it.
    Libclang,
    Git,
    /// With its venv module.
    Python,
    /// With npm.
    Node,
    Rustfmt,
    Clippy,
    Nextest,
}

impl Tool {
    /// What llama.cpp needs on top of cargo.
    pub(crate) const TO_BUILD: [Self; 4] = [Self::Cmake, Self::CxxCompiler, Self::Make, Self::Libclang];

    fn is_there(self) -> bool {
        let on_path = |name| environment::program(name).is_some();
        match self {
            Self::Cmake => on_path("cmake"),
            Self::CxxCompiler => environment::var("CXX").is_some() || on_path("c++"),
            Self::Make => on_path("make"),
            Self::Libclang => libclang::is_there(),
            Self::Git => on_path("git"),
            Self::Python => answers("python3", &["-c", "import venv, ensurepip"]),
            Self::Node => on_path("node") && on_path("npm"),
            Self::Rustfmt => answers("cargo", &["fmt", "--version"]),
            Self::Clippy => answers("cargo", &["clippy", "--version"]),
            Self::Nextest => answers("cargo", &["nextest", "--version"]),
        }
    }

    /// The cargo or rustup command that installs it, for what does not come from the system.
    fn rust_command(self) -> Option<(&'static str, &'static [&'static str])> {
        match self {
            Self::Rustfmt => Some(("rustup", &["component", "add", "rustfmt"])),
            Self::Clippy => Some(("rustup", &["component", "add", "clippy"])),
            Self::Nextest => Some(("cargo", &["install", "cargo-nextest", "--locked"])),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Cmake => "cmake",
            Self::CxxCompiler => "a C++ compiler",
            Self::Make => "make",
            Self::Libclang => "libclang",
            Self::Git => "git",
            Self::Python => "python3 with venv",
            Self::Node => "node with npm",
            Self::Rustfmt => "rustfmt",
            Self::Clippy => "clippy",
            Self::Nextest => "cargo-nextest",
        }
    }
}

fn answers(program: &str, arguments: &[&str]) -> bool {
    shell::answer(Command::new(program).args(arguments)).is_some()
}

/// Installs those of `tools` that are missing.
///
/// # Errors
/// One cannot be installed from here; the error has the command for the person to run.
pub(crate) fn ensure(workspace: &Workspace, tools: &[Tool]) -> Result<()> {
    let missing = missing(tools);
    if missing.is_empty() {
        eprintln!("all there");
        return Ok(());
    }
    eprintln!("missing: {}", names(&missing));
    let (rust, system): (Vec<Tool>, Vec<Tool>) =
        missing.iter().partition(|tool| tool.rust_command().is_some());
    if !system.is_empty() {
        packages::install(&system)?;
    }
    for (program, arguments) in rust.into_iter().filter_map(Tool::rust_command) {
        shell::run(workspace.command(program).args(arguments))?;
    }
    let still = self::missing(&missing);
    if !still.is_empty() {
        bail!("installed, yet not found: {}", names(&still));
    }
    Ok(())
}

fn missing(tools: &[Tool]) -> Vec<Tool> {
    tools.iter().copied().filter(|tool| !tool.is_there()).collect()
}

fn names(tools: &[Tool]) -> String {
    tools.iter().map(|tool| tool.name()).collect::<Vec<_>>().join(", ")
}
