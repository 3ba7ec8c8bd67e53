//! Linters of the SAM template.

use std::process::Command;

use anyhow::Result;

use super::Outcome;
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
    Ok(Outcome::Passed)
}

/// Replaces the credentials of the environment, so that no account is used.
fn offline(command: &mut Command) -> &mut Command {
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
