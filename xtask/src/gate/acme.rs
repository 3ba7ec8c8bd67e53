//! The test `in_pebble`: a certificate from an ACME server that isn't the project's own.

use anyhow::Result;

use super::Outcome;
use crate::shell;
use crate::tools::{self, Tool};
use crate::workspace::{WHOLE_WORKSPACE, Workspace};

/// The filter of the tests. They are ignored elsewhere, where there may be no Pebble.
const TESTS: &str = "binary(tls) & test(in_pebble)";

pub(super) fn run(workspace: &Workspace) -> Result<Outcome> {
    tools::ensure_optional(workspace, Some(Tool::Pebble));
    if !Tool::Pebble.is_there() {
        return Ok(Outcome::Skipped("Pebble is not installed; on Debian `apt-get install pebble`"));
    }
    let mut tests = workspace.cargo(["nextest", "run"]);
    shell::run(tests.args(WHOLE_WORKSPACE).args(["--run-ignored", "only", "--filterset", TESTS]))?;
    Ok(Outcome::Passed)
}
