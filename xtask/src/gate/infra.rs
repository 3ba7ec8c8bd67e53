//! The SAM template, read by the two linters that know it best.

use std::process::Command;

use anyhow::Result;

use super::Outcome;
use crate::shell;
use crate::venv::Venv;
use crate::workspace::Workspace;

const TEMPLATE: &str = "infra/template.yaml";

pub(super) fn run(workspace: &Workspace) -> Result<Outcome> {
    let venv = Venv::from_file(workspace, "venv-infra", "infra/requirements.txt")?;
    let mut sam = venv.command(workspace, "sam");
    shell::run(offline(sam.args(["validate", "--lint", "-t", TEMPLATE, "--region", "us-east-1"])))?;
    let mut cfn_lint = venv.command(workspace, "cfn-lint");
    shell::run(offline(cfn_lint.arg(TEMPLATE)))?;
    Ok(Outcome::Passed)
}

/// No account is asked, none is needed, and a developer's own is not to be used.
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
