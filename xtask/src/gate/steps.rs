//! The steps of the gate.

use anyhow::Result;

use super::{Outcome, conformance, infra, moto, observability, smoke};
use crate::tools::Tool;
use crate::workspace::{WHOLE_WORKSPACE, Workspace};
use crate::{shell, tidy};

pub(super) struct Step {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) needs: &'static [Tool],
    pub(super) run: fn(&Workspace) -> Result<Outcome>,
}

pub(super) const STEPS: &[Step] = &[
    Step { name: "fmt", about: "the format", needs: &[Tool::Rustfmt], run: fmt },
    // Before tidy, which asks the binary for the API's description.
    Step { name: "build", about: "every binary and test, with every lint", needs: &BUILD, run: build },
    Step {
        name: "features",
        about: "the command as README builds it, without the engine, and a function, each alone",
        needs: &BUILD,
        run: features,
    },
    Step { name: "tidy", about: "what the tree must look like", needs: &TIDY, run: tidy },
    Step { name: "deny", about: "licences, sources and versions of the dependencies", needs: &[], run: deny },
    Step { name: "machete", about: "unused dependencies", needs: &[], run: machete },
    Step { name: "test", about: "the tests of every crate", needs: &TEST, run: test },
    Step { name: "moto", about: "stores and commands over another AWS", needs: &MOTO, run: moto::run },
    Step {
        name: "smoke",
        about: "the folder that `dist` makes: start, answers, doctor",
        needs: &Tool::TO_BUILD,
        run: smoke::run,
    },
    Step {
        name: "infra",
        about: "the SAM template, `sam build`, the folder of a release",
        needs: &INFRA,
        run: infra::run,
    },
    Step {
        name: "observability",
        about: "Prometheus, its rules and an alert against a running gateway; the dashboards",
        needs: &INFRA,
        run: observability::run,
    },
    Step {
        name: "sdk",
        about: "the vendors' own SDKs against a running gateway",
        needs: &SDK,
        run: conformance::run,
    },
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

/// Checks packages by themselves: in a build of the workspace they have the features that other packages need of their
/// dependencies, and may use what they haven't enabled.
fn features(workspace: &Workspace) -> Result<Outcome> {
    let start = ["--package", "hearth"];
    let command = ["--package", "hearth", "--no-default-features", "--features", "aws", "--all-targets"];
    for selection in [start.as_slice(), &command, &["--package", "hearth-fn-accounts"]] {
        shell::run(workspace.cargo(["check"]).args(selection))?;
    }
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

fn test(workspace: &Workspace) -> Result<Outcome> {
    shell::run(workspace.cargo(["nextest", "run"]).args(WHOLE_WORKSPACE))?;
    // nextest does not run the examples of the documentation.
    shell::run(workspace.cargo(["test", "--doc"]).args(WHOLE_WORKSPACE))?;
    Ok(Outcome::Passed)
}
