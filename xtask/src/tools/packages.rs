//! The system's package manager: run where it needs no password, printed as a command where it does.

use std::process::Command;

use anyhow::{Result, bail};

use super::{Tool, names};
use crate::{environment, shell};

#[derive(Clone, Copy)]
enum Manager {
    Apt,
    Dnf,
    Pacman,
    Brew,
}

impl Manager {
    fn of_this_machine() -> Option<Self> {
        let table =
            [("apt-get", Self::Apt), ("dnf", Self::Dnf), ("pacman", Self::Pacman), ("brew", Self::Brew)];
        table
            .into_iter()
            .find(|(program, _)| environment::program(program).is_some())
            .map(|(_, manager)| manager)
    }

    /// The command, before the packages.
    fn install(self) -> &'static str {
        match self {
            Self::Apt => "sudo apt-get update && sudo apt-get install --no-install-recommends",
            Self::Dnf => "sudo dnf install",
            Self::Pacman => "sudo pacman -S --needed",
            Self::Brew => "brew install",
        }
    }

    fn packages(self, tool: Tool) -> Vec<String> {
        let named: &[&str] = match (self, tool) {
            (Self::Apt, Tool::Libclang) => return libclang_on_debian(apt_depends().as_deref()),
            (_, Tool::Cmake) => &["cmake"],
            (Self::Apt, Tool::CxxCompiler) => &["g++"],
            (Self::Dnf, Tool::CxxCompiler) => &["gcc-c++"],
            (Self::Pacman | Self::Brew, Tool::CxxCompiler) => &["gcc"],
            (_, Tool::Make) => &["make"],
            (Self::Brew, Tool::Clang) => &["llvm"],
            (_, Tool::Clang) => &["clang"],
            (Self::Dnf, Tool::Libclang) => &["clang-devel"],
            (Self::Pacman, Tool::Libclang) => &["clang"],
            (Self::Brew, Tool::Libclang) => &["llvm"],
            (_, Tool::Git) => &["git"],
            (Self::Apt, Tool::Python) => &["python3", "python3-venv"],
            (Self::Dnf | Self::Brew, Tool::Python) => &["python3"],
            (Self::Pacman, Tool::Python) => &["python"],
            (Self::Apt | Self::Pacman, Tool::Node) => &["nodejs", "npm"],
            (Self::Dnf, Tool::Node) => &["nodejs-npm"],
            (Self::Brew, Tool::Node) => &["node"],
            (Self::Apt, Tool::Prometheus) => &["prometheus", "prometheus-alertmanager"],
            (Self::Pacman, Tool::Prometheus) => &["prometheus", "alertmanager"],
            (Self::Dnf | Self::Brew, Tool::Prometheus) => &["prometheus"],
            (_, Tool::Pebble) => &["pebble"],
            (Self::Brew, Tool::QemuUser) => &["qemu"],
            (_, Tool::QemuUser) => &["qemu-user"],
            (Self::Apt, Tool::Faketime) => &["faketime"],
            (_, Tool::Faketime) => &["libfaketime"],
            (_, Tool::Rustfmt | Tool::Clippy | Tool::Nextest) => &[],
        };
        named.iter().map(ToString::to_string).collect()
    }
}

/// Installs the packages of these tools.
///
/// # Errors
/// No known manager, or one that would ask for a password: the error has the command to run.
pub(super) fn install(tools: &[Tool]) -> Result<()> {
    let Some(manager) = Manager::of_this_machine() else {
        bail!("please install {} with the system's package manager, then run this again", names(tools));
    };
    let prefix = match manager {
        Manager::Apt => apt_prefix(),
        Manager::Dnf | Manager::Pacman | Manager::Brew => None,
    };
    let Some((program, before)) = prefix.and_then(<[_]>::split_first) else {
        let packages = packages(manager, tools).join(" ");
        bail!("please run this, then try again:\n\n  {} {packages}\n", manager.install());
    };
    let apt = || {
        let mut command = Command::new(program);
        // Standard output is for the line of `up --json`.
        command.args(before).args(["DEBIAN_FRONTEND=noninteractive", "apt-get"]).stdout(std::io::stderr());
        command
    };
    // A fresh container has no lists of packages at all. A mirror that is down is no reason to stop: the
    // lists of yesterday may do.
    if let Err(error) = shell::run(apt().args(["update", "--quiet=2"])) {
        println!("{error}; trying with the lists that are here");
    }
    let arguments = ["install", "--quiet", "--yes", "--no-install-recommends"];
    shell::run(apt().args(arguments).args(packages(manager, tools)))
}

fn packages(manager: Manager, tools: &[Tool]) -> Vec<String> {
    tools.iter().flat_map(|tool| manager.packages(*tool)).collect()
}

/// The words in front of `apt-get`, where it needs no password.
fn apt_prefix() -> Option<&'static [&'static str]> {
    let is_root = shell::answer(Command::new("id").arg("-u")).is_some_and(|id| id.trim() == "0");
    if is_root {
        return Some(&["env"]);
    }
    shell::answer(Command::new("sudo").args(["-n", "true"])).map(|_| ["sudo", "-n", "env"].as_slice())
}

fn apt_depends() -> Option<String> {
    shell::answer(Command::new("apt-cache").args(["depends", "libclang-dev"]))
}

/// The library and clang's headers, of the version that this release calls its own.
///
/// `libclang-dev` brings both, and static libraries of several hundred megabytes that nothing here reads,
/// so it is only asked what it depends on.
fn libclang_on_debian(depends: Option<&str>) -> Vec<String> {
    let version = depends.into_iter().flat_map(str::lines).find_map(|line| {
        let package = line.trim().strip_prefix("Depends: libclang-")?;
        package.strip_suffix("-dev").filter(|version| version.bytes().all(|byte| byte.is_ascii_digit()))
    });
    match version {
        Some(version) => vec![format!("libclang1-{version}"), format!("libclang-common-{version}-dev")],
        None => vec!["libclang-dev".to_owned()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libclang_has_the_version_of_the_release() {
        let bookworm = "libclang-dev\n  Depends: libclang-14-dev\n";
        assert_eq!(libclang_on_debian(Some(bookworm)), ["libclang1-14", "libclang-common-14-dev"]);
        let noble = "libclang-dev\n  Depends: libclang-18-dev\n  Depends: libclang1-18\n";
        assert_eq!(libclang_on_debian(Some(noble)), ["libclang1-18", "libclang-common-18-dev"]);
    }

    #[test]
    fn large_package_is_installed_if_the_version_is_unknown() {
        for depends in [None, Some(""), Some("libclang-dev\n  Depends: libclang-cpp-dev\n")] {
            assert_eq!(libclang_on_debian(depends), ["libclang-dev"]);
        }
    }
}
