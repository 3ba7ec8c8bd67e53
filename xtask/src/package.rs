//! `cargo xtask package`: the Lambda functions as they are shipped, their size, and their cold start.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::shell;
use crate::tools::{self, Tool};
use crate::venv::Venv;
use crate::workspace::Workspace;

/// The build that crosses to Amazon Linux's older C library; it brings its own linker, zig.
const CARGO_LAMBDA: [&str; 2] = ["cargo-lambda==1.9.2", "ziglang==0.17.1"];

/// Each function, and the event that its cold start is measured with.
const FUNCTIONS: [(&str, &str); 4] = [
    ("hearth-fn-generate", "post_v1.generate.json"),
    ("hearth-fn-models", "get_v1.models.json"),
    ("hearth-fn-accounts", "get_v1.users.tokens.json"),
    ("hearth-fn-ops", "get_health.json"),
];

/// Environment of a function without stores. A start uses none, and the events' placeholder for a token is refused before a
/// store is read.
const NO_STORES: [(&str, &str); 7] = [
    ("HEARTH_TABLE", "hearth"),
    ("HEARTH_BUCKET", "hearth"),
    ("HEARTH_SECRET", "hearth"),
    ("HEARTH_PROVIDER_KEYS", "hearth/provider-keys"),
    ("HEARTH_LOG_LEVEL", "info"),
    ("AWS_LAMBDA_HTTP_IGNORE_STAGE_IN_PATH", "true"),
    ("AWS_ENDPOINT_URL", "http://127.0.0.1:9"),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arch {
    X86_64,
    Arm64,
}

impl Arch {
    pub(crate) fn parse(arguments: &[String]) -> Result<Self> {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        match arguments.as_slice() {
            [] | ["--arch", "x86_64"] => Ok(Self::X86_64),
            ["--arch", "arm64"] => Ok(Self::Arm64),
            other => bail!("`cargo xtask package` takes `--arch x86_64` or `--arch arm64`, not {other:?}"),
        }
    }

    fn flag(self) -> &'static str {
        match self {
            Self::X86_64 => "--x86-64",
            Self::Arm64 => "--arm64",
        }
    }

    fn is_this_machine(self) -> bool {
        let this = std::env::consts::ARCH;
        cfg!(target_os = "linux")
            && match self {
                Self::X86_64 => this == "x86_64",
                Self::Arm64 => this == "aarch64",
            }
    }
}

pub(crate) fn run(workspace: &Workspace, arch: Arch) -> Result<()> {
    tools::ensure(workspace, &[Tool::Python])?;
    // Cargo uses `<target>/lambda` for the profile of that name.
    let folder = workspace.target.join("lambda-functions");
    build(workspace, arch, &folder)?;

    println!("\n{:<20}{:>10}{:>10}", "function", "binary", "gzip");
    for (name, _) in FUNCTIONS {
        let bootstrap = folder.join(name).join("bootstrap");
        let size = fs::metadata(&bootstrap).with_context(|| format!("no {}", bootstrap.display()))?.len();
        let zipped = shell::output(Command::new("gzip").args(["-9", "-c"]).arg(&bootstrap))?.len() as u64;
        println!("{name:<20}{:>10}{:>10}", mebibytes(size), mebibytes(zipped));
    }

    if !arch.is_this_machine() {
        println!("\ncold start: not measured, since this machine cannot run it");
        return Ok(());
    }
    println!("\ncold start");
    for (name, event) in FUNCTIONS {
        let mut emulator = workspace.cargo(["run", "--quiet", "--release", "--package", "lambda-emulator"]);
        emulator.envs(NO_STORES).args(["--", "measure"]).arg(folder.join(name).join("bootstrap"));
        shell::run(emulator.arg(format!("events/{event}")))?;
    }
    Ok(())
}

fn build(workspace: &Workspace, arch: Arch, folder: &Path) -> Result<()> {
    let venv = Venv::of_packages(workspace, "venv-lambda", &CARGO_LAMBDA)?;
    let mut cargo_lambda = venv.command(workspace, "cargo-lambda");
    cargo_lambda.args(["lambda", "build", "--profile", "lambda", arch.flag()]);
    for (name, _) in FUNCTIONS {
        cargo_lambda.args(["--package", name, "--bin", name]);
    }
    shell::run(cargo_lambda.arg("--lambda-dir").arg(folder))
}

fn mebibytes(bytes: u64) -> String {
    let hundredths = bytes.saturating_mul(100) / (1024 * 1024);
    format!("{}.{:02} MiB", hundredths / 100, hundredths % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Arch> {
        Arch::parse(&arguments.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn architecture_has_the_name_of_lambda() {
        assert_eq!(parse(&[]).unwrap(), Arch::X86_64);
        assert_eq!(parse(&["--arch", "arm64"]).unwrap(), Arch::Arm64);
        assert!(parse(&["--arch", "aarch64"]).is_err());
        assert!(parse(&["arm64"]).is_err());
    }

    #[test]
    fn sizes_have_two_places() {
        assert_eq!(mebibytes(0), "0.00 MiB");
        assert_eq!(mebibytes(5 * 1024 * 1024 + 52_430), "5.05 MiB");
    }
}
