//! Tools that a build or a check needs, and their installation.

mod libclang;
mod packages;

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail};

use crate::workspace::Workspace;
use crate::{environment, shell};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tool {
    Cmake,
    CxxCompiler,
    Make,
    /// Compiles the AMX variant of llama.cpp's CPU backend where the C++ compiler breaks it.
    Clang,
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
    /// With promtool, and Alertmanager with amtool.
    Prometheus,
    /// An ACME server for tests, with its DNS server.
    Pebble,
    /// Emulates processors that the machine isn't, for tests of llama.cpp's CPU backends.
    QemuUser,
    /// Sets the clock of a test's processes.
    Faketime,
}

impl Tool {
    /// Tools that llama.cpp's build needs.
    pub(crate) const TO_BUILD: [Self; 4] = [Self::Cmake, Self::CxxCompiler, Self::Make, Self::Libclang];

    pub(crate) fn is_there(self) -> bool {
        let on_path = |name| environment::program(name).is_some();
        match self {
            Self::Cmake => on_path("cmake"),
            Self::CxxCompiler => environment::var("CXX").is_some() || on_path("c++"),
            Self::Make => on_path("make"),
            Self::Clang => clangxx().is_some(),
            Self::Libclang => libclang::is_there(),
            Self::Git => on_path("git"),
            Self::Python => answers("python3", &["-c", "import venv, ensurepip"]),
            Self::Node => on_path("node") && on_path("npm"),
            Self::Rustfmt => answers("cargo", &["fmt", "--version"]),
            Self::Clippy => answers("cargo", &["clippy", "--version"]),
            Self::Nextest => answers("cargo", &["nextest", "--version"]),
            Self::Pebble => ["pebble", "pebble-challtestsrv"].into_iter().all(on_path),
            Self::QemuUser => on_path("qemu-x86_64"),
            Self::Faketime => on_path("faketime"),
            Self::Prometheus => {
                ["prometheus", "promtool", "amtool"].into_iter().all(on_path)
                    // Debian's name, and the project's own.
                    && ["prometheus-alertmanager", "alertmanager"].into_iter().any(on_path)
            }
        }
    }

    /// Returns the cargo or rustup command that installs it, if it isn't a package of the system.
    fn rust_command(self) -> Option<(&'static str, &'static [&'static str])> {
        match self {
            Self::Rustfmt => Some(("rustup", &["component", "add", "rustfmt"])),
            Self::Clippy => Some(("rustup", &["component", "add", "clippy"])),
            Self::Nextest => Some(("cargo", &["install", "cargo-nextest", "--locked"])),
            _ => None,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Cmake => "cmake",
            Self::CxxCompiler => "a C++ compiler",
            Self::Make => "make",
            Self::Clang => "clang++",
            Self::Libclang => "libclang",
            Self::Git => "git",
            Self::Python => "python3 with venv",
            Self::Node => "node with npm",
            Self::Rustfmt => "rustfmt",
            Self::Clippy => "clippy",
            Self::Nextest => "cargo-nextest",
            Self::Prometheus => "Prometheus with Alertmanager",
            Self::Pebble => "Pebble",
            Self::QemuUser => "QEMU's user mode",
            Self::Faketime => "faketime",
        }
    }
}

/// The names of Clang for C++ that `gpu-node/cmake/cpu-variants.cmake` looks for.
const CLANGXX: [&str; 8] = [
    "clang++",
    "clang++-20",
    "clang++-19",
    "clang++-18",
    "clang++-17",
    "clang++-16",
    "clang++-15",
    "clang++-14",
];

/// Clang for C++, the one that CMake finds for the AMX variant.
pub(crate) fn clangxx() -> Option<PathBuf> {
    CLANGXX.iter().find_map(|name| environment::program(name))
}

/// The compiler that the AMX variant of the CPU backend needs beside the C++ compiler at hand, if any.
///
/// GCC before 12.4, 13.3 and 14 drops the stores of a tile configuration (GCC bug 114098), and the code dies of SIGILL.
pub(crate) fn amx_compiler() -> Option<Tool> {
    let mut compiler = Command::new(environment::var("CXX").unwrap_or_else(|| "c++".into()));
    // Clang answers 4.2.1, and takes `-dumpfullversion` for an unknown option.
    let version = shell::answer(compiler.arg("-dumpfullversion"))?;
    (cfg!(target_arch = "x86_64") && breaks_amx(version.trim())).then_some(Tool::Clang)
}

/// Returns whether a version of GCC, such as `12.2.0`, has bug 114098.
fn breaks_amx(version: &str) -> bool {
    let mut numbers = version.split('.').map(|number| number.parse::<u32>().unwrap_or(0));
    let (major, minor) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    match major {
        0..=11 => true,
        12 => minor < 4,
        13 => minor < 3,
        _ => false,
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

/// Installs what the build for this machine needs, with the compiler of the AMX variant if the processor has AMX.
pub(crate) fn ensure_for_this_machine(workspace: &Workspace) -> Result<()> {
    ensure(workspace, &Tool::TO_BUILD)?;
    if environment::processor_has_amx() {
        ensure_optional(workspace, amx_compiler());
    }
    Ok(())
}

/// Installs a tool that improves the build. A failure is printed and ignored.
pub(crate) fn ensure_optional(workspace: &Workspace, tool: Option<Tool>) {
    let Some(tool) = tool else { return };
    if let Err(error) = ensure(workspace, &[tool]) {
        eprintln!("going on without {}: {error:#}", tool.name());
    }
}

fn missing(tools: &[Tool]) -> Vec<Tool> {
    tools.iter().copied().filter(|tool| !tool.is_there()).collect()
}

fn names(tools: &[Tool]) -> String {
    tools.iter().map(|tool| tool.name()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compilers_with_the_amx_bug_are_recognised() {
        for (version, broken) in [
            ("11.4.0", true),
            ("12.2.0", true),
            ("12.4.0", false),
            ("13.2.0", true),
            ("13.3.1", false),
            ("14.1.0", false),
            ("15", false),
        ] {
            assert_eq!(breaks_amx(version), broken, "{version}");
        }
    }
}
