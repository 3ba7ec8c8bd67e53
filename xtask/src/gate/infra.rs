//! Linters of the SAM template, and the folder of a release.

use anyhow::Result;

use super::{Outcome, release};
use crate::package::offline;
use crate::shell;
use crate::venv::Venv;
use crate::workspace::Workspace;

const TEMPLATE: &str = "infra/template.yaml";
/// Checks the template as CloudFormation gets it.
const CHECK_TRANSFORMED: &str = "infra/check_transformed.py";

pub(super) fn run(workspace: &Workspace) -> Result<Outcome> {
    let venv = Venv::from_file(workspace, "venv-infra", "infra/requirements.txt")?;
    let mut sam = venv.command(workspace, "sam");
    shell::run(offline(sam.args(["validate", "--lint", "-t", TEMPLATE, "--region", "us-east-1"])))?;
    let mut cfn_lint = venv.command(workspace, "cfn-lint");
    shell::run(offline(cfn_lint.arg(TEMPLATE)))?;
    let mut python = venv.command(workspace, "python");
    shell::run(offline(python.args([CHECK_TRANSFORMED, TEMPLATE])))?;
    let mut tests = venv.command(workspace, "python");
    shell::run(tests.args(["-m", "unittest", "discover", "--quiet", "infra"]))?;
    release::run(workspace, &venv)?;
    Ok(Outcome::Passed)
}
