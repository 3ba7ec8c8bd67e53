//! `cargo xtask package`: a folder that `sam deploy` takes without Rust, its functions' size, and their cold start.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::tools::{self, Tool};
use crate::venv::Venv;
use crate::workspace::Workspace;
use crate::{environment, shell};

/// SAM, and the build that crosses to Amazon Linux's older C library; it brings its own linker, zig.
const REQUIREMENTS: &str = "infra/requirements-build.txt";
const TEMPLATE: &str = "infra/template.yaml";
const RELEASE: &str = "infra/release.py";
/// Checks a template as CloudFormation gets it.
const CHECK_TRANSFORMED: &str = "infra/check_transformed.py";

/// Each function, and the event that its cold start is measured with. A function that a schedule or a socket starts has none.
pub(crate) const FUNCTIONS: [(&str, Option<&str>); 8] = [
    ("hearth-fn-generate", Some("post_v1.generate.json")),
    ("hearth-fn-models", Some("get_v1.models.json")),
    ("hearth-fn-nodes", Some("get_v1.nodes.json")),
    ("hearth-fn-accounts", Some("get_v1.users.tokens.json")),
    ("hearth-fn-ops", Some("get_health.json")),
    ("hearth-fn-socket", None),
    ("hearth-fn-sweep", None),
    ("hearth-fn-worker", None),
];

/// Environment of a function without stores. A start uses none, and the events' placeholder for a token is refused before a
/// store is read.
pub(crate) const NO_STORES: [(&str, &str); 7] = [
    ("HEARTH_TABLE", "hearth"),
    ("HEARTH_BUCKET", "hearth"),
    ("HEARTH_SECRET", "hearth"),
    ("HEARTH_PROVIDER_KEYS", "hearth/provider-keys"),
    ("HEARTH_LOG_LEVEL", "info"),
    ("AWS_LAMBDA_HTTP_IGNORE_STAGE_IN_PATH", "true"),
    ("AWS_ENDPOINT_URL", "http://127.0.0.1:9"),
];

/// A processor of Lambda.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arch {
    X86_64,
    Arm64,
}

impl Arch {
    fn parse(name: &str) -> Result<Self> {
        match name {
            "x86_64" => Ok(Self::X86_64),
            "arm64" => Ok(Self::Arm64),
            other => bail!("Lambda's processors are x86_64 and arm64, not `{other}`"),
        }
    }

    /// Returns the processor that the template says.
    fn of_template(text: &str) -> Result<Self> {
        let line = text.lines().find_map(|line| line.trim().strip_prefix("Architectures: ["));
        let name = line.and_then(|line| line.strip_suffix(']'));
        Self::parse(name.with_context(|| format!("{TEMPLATE} has no line `Architectures: [arm64]`"))?)
    }

    /// Returns this machine's processor, if Lambda has it and runs this machine's programs.
    pub(crate) fn of_this_machine() -> Option<Self> {
        match std::env::consts::ARCH {
            "x86_64" if cfg!(target_os = "linux") => Some(Self::X86_64),
            "aarch64" if cfg!(target_os = "linux") => Some(Self::Arm64),
            _ => None,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Arm64 => "arm64",
        }
    }

    fn target(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64-unknown-linux-gnu",
            Self::Arm64 => "aarch64-unknown-linux-gnu",
        }
    }
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// By default the template's.
    arch: Option<Arch>,
    /// Folder to write; by default `dist/lambda-<arch>` in the target folder.
    out: Option<PathBuf>,
}

impl Options {
    pub(crate) fn parse(arguments: &[String]) -> Result<Self> {
        let mut options = Self::default();
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let value = rest.next().with_context(|| format!("`{argument}` needs a value"))?;
            match argument.as_str() {
                "--arch" => options.arch = Some(Arch::parse(value)?),
                "--out" => options.out = Some(value.into()),
                other => bail!("`cargo xtask package` takes `--arch` and `--out`, not `{other}`"),
            }
        }
        Ok(options)
    }
}

pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    tools::ensure(workspace, &[Tool::Make, Tool::Python])?;
    let arch = match options.arch {
        Some(arch) => arch,
        None => Arch::of_template(
            &fs::read_to_string(workspace.root.join(TEMPLATE)).context("cannot read the template")?,
        )?,
    };
    ensure_standard_library(workspace, arch)?;
    let out = options.out.clone();
    let out = out.unwrap_or_else(|| workspace.target.join("dist").join(format!("lambda-{}", arch.name())));
    let venv = Venv::from_file(workspace, "venv-lambda", REQUIREMENTS)?;
    release(workspace, &venv, arch, &out, None)?;
    println!("\n{}", out.display());

    // Where infra/Makefile has them.
    let binary = |name: &str| workspace.target.join("functions").join(name).join("bootstrap");
    let size = |path: PathBuf| {
        let metadata = fs::metadata(&path).with_context(|| format!("no {}", path.display()));
        Ok::<_, anyhow::Error>(mebibytes(metadata?.len()))
    };
    println!("\n{:<20}{:>10}{:>10}", "function", "binary", "zip");
    for (name, _) in FUNCTIONS {
        println!("{name:<20}{:>10}{:>10}", size(binary(name))?, size(zip(&out, name, arch))?);
    }
    if Some(arch) != Arch::of_this_machine() {
        println!("\ncold start: not measured, since this machine cannot run it");
        return Ok(());
    }
    println!("\ncold start");
    for (name, event) in FUNCTIONS.into_iter().filter_map(|(name, event)| Some((name, event?))) {
        let mut emulator = workspace.cargo(["run", "--quiet", "--release", "--package", "lambda-emulator"]);
        emulator.envs(NO_STORES).args(["--", "measure"]).arg(binary(name));
        shell::run(emulator.arg(format!("events/{event}")))?;
    }
    Ok(())
}

/// Makes the folder `out` and lints its template.
///
/// `prebuilt` is a folder of cargo's with functions for this machine, which are packed in place of a build.
///
/// # Errors
/// The build failed, a function is for another processor than `arch`, or a check failed.
pub(crate) fn release(
    workspace: &Workspace,
    venv: &Venv,
    arch: Arch,
    out: &Path,
    prebuilt: Option<&Path>,
) -> Result<()> {
    let mut python = venv.command(workspace, "python");
    if let Some(prebuilt) = prebuilt {
        python.env("PREBUILT", prebuilt).env("ZIP_LEVEL", "1");
    }
    shell::run(offline(python.arg(RELEASE).arg(out).arg(arch.name())))?;
    let template = out.join("template.yaml");
    let mut sam = venv.command(workspace, "sam");
    sam.args(["validate", "--lint", "--region", "us-east-1", "-t"]).arg(&template);
    shell::run(offline(&mut sam))?;
    shell::run(offline(venv.command(workspace, "python").arg(CHECK_TRANSFORMED).arg(&template)))
}

/// Returns the path of a function's zip in the folder of a release.
pub(crate) fn zip(out: &Path, function: &str, arch: Arch) -> PathBuf {
    out.join(format!("{}-{}.zip", function.trim_start_matches("hearth-fn-"), arch.name()))
}

/// Replaces the credentials of the environment, so that no account is used.
pub(crate) fn offline(command: &mut Command) -> &mut Command {
    command
        .env("SAM_CLI_TELEMETRY", "0")
        .env("AWS_REGION", "us-east-1")
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "none")
        .env("AWS_SECRET_ACCESS_KEY", "none")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env_remove("AWS_PROFILE")
        .env_remove("AWS_SESSION_TOKEN")
}

/// # Errors
/// The compiler has no standard library for the processor.
fn ensure_standard_library(workspace: &Workspace, arch: Arch) -> Result<()> {
    let mut rustc = workspace.command(environment::var("RUSTC").unwrap_or_else(|| "rustc".into()));
    let folder = shell::output(rustc.args(["--print", "target-libdir", "--target", arch.target()]))?;
    let folder = String::from_utf8_lossy(&folder);
    ensure!(
        Path::new(folder.trim()).is_dir(),
        "rustc has no standard library for {}; install it: rustup target add {}",
        arch.name(),
        arch.target()
    );
    Ok(())
}

fn mebibytes(bytes: u64) -> String {
    let hundredths = bytes.saturating_mul(100) / (1024 * 1024);
    format!("{}.{:02} MiB", hundredths / 100, hundredths % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Options> {
        Options::parse(&arguments.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn architecture_has_the_name_of_lambda() {
        assert_eq!(parse(&[]).unwrap(), Options::default());
        assert_eq!(parse(&["--arch", "arm64"]).unwrap().arch, Some(Arch::Arm64));
        assert!(parse(&["--arch", "aarch64"]).is_err());
        assert!(parse(&["--arch"]).is_err());
        assert!(parse(&["arm64"]).is_err());
    }

    #[test]
    fn architecture_is_a_line_of_the_template() {
        let of = Arch::of_template;
        assert_eq!(of("Globals:\n    Architectures: [x86_64]\n").unwrap(), Arch::X86_64);
        assert!(of("    Architectures: [!Ref Architecture]\n").is_err());
        assert!(of("Globals:\n").is_err());
        of(&fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../infra/template.yaml")).unwrap())
            .unwrap();
    }

    #[test]
    fn zip_is_named_for_function_and_processor() {
        assert_eq!(zip(Path::new("o"), "hearth-fn-ops", Arch::Arm64), Path::new("o/ops-arm64.zip"));
    }

    #[test]
    fn sizes_have_two_places() {
        assert_eq!(mebibytes(0), "0.00 MiB");
        assert_eq!(mebibytes(5 * 1024 * 1024 + 52_430), "5.05 MiB");
    }
}
