//! The steps of the gate.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use super::{Outcome, acme, conformance, features, infra, moto, observability, smoke};
use crate::tools::{self, Tool};
use crate::workspace::{WHOLE_WORKSPACE, Workspace};
use crate::{shell, tidy};

pub(super) struct Step {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) needs: &'static [Tool],
    pub(super) run: fn(&Workspace) -> Result<Outcome>,
    /// Runs before `run`, and before the steps beside it start.
    pub(super) prepare: Option<fn(&Workspace) -> Result<()>>,
    /// The step during which this one runs, if both run: that one leaves a part of the processors idle.
    pub(super) beside: Option<&'static str>,
}

impl Step {
    const fn new(
        name: &'static str,
        about: &'static str,
        needs: &'static [Tool],
        run: fn(&Workspace) -> Result<Outcome>,
    ) -> Self {
        Self { name, about, needs, run, prepare: None, beside: None }
    }
}

pub(super) const STEPS: &[Step] = &[
    Step::new("fmt", "the format", &[Tool::Rustfmt], fmt),
    // Before tidy, which asks the binary for the API's description.
    Step::new("build", "every binary and test, with every lint", &BUILD, build),
    Step {
        beside: Some("test"),
        ..Step::new(
            "features",
            "the command as README builds it, without the engine, and a function, each alone",
            &BUILD,
            features::run,
        )
    },
    Step::new("tidy", "what the tree must look like", &TIDY, tidy),
    Step::new("deny", "licences, sources and versions of the dependencies", &[], deny),
    Step::new("machete", "unused dependencies", &[], machete),
    Step { prepare: Some(list_tests), ..Step::new("test", "the tests of every crate", &TEST, test) },
    Step::new("moto", "stores and commands over another AWS", &MOTO, moto::run),
    Step::new("acme", "a certificate from an ACME server", &TEST, acme::run),
    Step::new(
        "smoke",
        "a folder as `dist` makes it, of this build: flags, start, answers, doctor",
        &Tool::TO_BUILD,
        smoke::run,
    ),
    Step::new("infra", "the SAM template, `sam build`, the folder of a release", &INFRA, infra::run),
    Step::new(
        "observability",
        "Prometheus, its rules and an alert against a running gateway; the dashboards",
        &INFRA,
        observability::run,
    ),
    Step::new("sdk", "the vendors' own SDKs against a running gateway", &SDK, conformance::run),
];

const BUILD: [Tool; 5] = with_build(Tool::Clippy);
const TIDY: [Tool; 5] = with_build(Tool::Git);
/// Git, because a test runs tidy too.
const TEST: [Tool; 6] =
    [Tool::Cmake, Tool::CxxCompiler, Tool::Make, Tool::Libclang, Tool::Git, Tool::Nextest];
const INFRA: [Tool; 5] = with_build(Tool::Python);
const MOTO: [Tool; 6] =
    [Tool::Cmake, Tool::CxxCompiler, Tool::Make, Tool::Libclang, Tool::Nextest, Tool::Python];
const SDK: [Tool; 6] = [Tool::Cmake, Tool::CxxCompiler, Tool::Make, Tool::Libclang, Tool::Python, Tool::Node];

const fn with_build(tool: Tool) -> [Tool; 5] {
    let [cmake, compiler, make, libclang] = Tool::TO_BUILD;
    [cmake, compiler, make, libclang, tool]
}

fn fmt(workspace: &Workspace) -> Result<Outcome> {
    shell::run(&mut workspace.cargo(["fmt", "--all", "--check"]))?;
    Ok(Outcome::Passed)
}

fn build(workspace: &Workspace) -> Result<Outcome> {
    shell::run(workspace.cargo(["build", "--all-targets"]).args(WHOLE_WORKSPACE))?;
    Ok(Outcome::Passed)
}

fn tidy(workspace: &Workspace) -> Result<Outcome> {
    tidy::run(workspace)?;
    Ok(Outcome::Passed)
}

fn deny(workspace: &Workspace) -> Result<Outcome> {
    if shell::answer(&mut workspace.cargo(["deny", "--version"])).is_none() {
        return Ok(Outcome::Skipped("cargo-deny is not installed; `cargo install cargo-deny --locked`"));
    }
    shell::run(&mut workspace.cargo(["deny", "check", "bans", "licenses", "sources"]))?;
    // A new advisory isn't the fault of this change, and without a network there is no list of them: it is printed, and
    // the step passes.
    if let Err(error) = shell::run(&mut workspace.cargo(["deny", "check", "advisories"])) {
        println!("notice: {error:#}");
    }
    Ok(Outcome::Passed)
}

fn machete(workspace: &Workspace) -> Result<Outcome> {
    if shell::answer(&mut workspace.cargo(["machete", "--version"])).is_none() {
        return Ok(Outcome::Skipped(
            "cargo-machete is not installed; `cargo install cargo-machete --locked`",
        ));
    }
    // With metadata it knows the name of each library, which may differ from its package's.
    shell::run(&mut workspace.cargo(["machete", "--with-metadata", "--skip-target-dir"]))?;
    Ok(Outcome::Passed)
}

/// Names of the files, in the target folder, with the test programs and the packages.
const TEST_BINARIES: &str = "test-binaries.json";
const TEST_METADATA: &str = "test-metadata.json";

/// Lists the test programs for nextest. Without the lists it would ask cargo, and wait until cargo has finished the step
/// beside the tests.
fn list_tests(workspace: &Workspace) -> Result<()> {
    let mut list = workspace.cargo(["nextest", "list", "--list-type", "binaries-only"]);
    let list = list.args(["--message-format", "json"]).args(WHOLE_WORKSPACE);
    write_output(list, &workspace.target().join(TEST_BINARIES))?;
    let mut metadata = workspace.cargo(["metadata", "--format-version", "1", "--all-features"]);
    write_output(&mut metadata, &workspace.target().join(TEST_METADATA))
}

fn test(workspace: &Workspace) -> Result<Outcome> {
    // Without them the tests that need them print that they are skipped.
    if cfg!(target_os = "linux") {
        tools::ensure_optional(workspace, Some(Tool::Faketime));
        tools::ensure_optional(workspace, cfg!(target_arch = "x86_64").then_some(Tool::QemuUser));
    }
    let mut run = workspace.cargo(["nextest", "run"]);
    run.arg("--binaries-metadata").arg(workspace.target().join(TEST_BINARIES));
    run.arg("--cargo-metadata").arg(workspace.target().join(TEST_METADATA));
    shell::run(&mut run)?;
    // nextest does not run the examples of the documentation.
    shell::run(workspace.cargo(["test", "--doc"]).args(WHOLE_WORKSPACE))?;
    Ok(Outcome::Passed)
}

fn write_output(command: &mut Command, path: &Path) -> Result<()> {
    fs::write(path, shell::output(command)?).with_context(|| format!("cannot write {}", path.display()))
}
