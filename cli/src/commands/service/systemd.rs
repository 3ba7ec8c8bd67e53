//! Calls of systemd's command, `systemctl`.

use std::{path::Path, process::Command};

use anyhow::{Context as _, Result};

use super::unit::{Program, Scope};

/// A folder that exists while systemd runs the machine.
const SYSTEMD_FOLDER: &str = "/run/systemd/system";

/// Fails if systemd doesn't run the machine.
pub(crate) fn require() -> Result<()> {
    anyhow::ensure!(
        Path::new(SYSTEMD_FOLDER).is_dir(),
        "systemd doesn't run this machine, so it can't start Hearth; `hearth service print` and `hearth node install --print` \
         print the units, and in a container start `hearth up` or `hearth node run` itself"
    );
    Ok(())
}

/// Calls `systemctl`.
///
/// # Errors
/// It can't be started, or fails; its own message is on standard error.
pub(crate) fn call(scope: Scope, arguments: &[&str]) -> Result<()> {
    let status = systemctl(scope, arguments)?;
    let advice = match scope {
        Scope::User => "see journalctl --user -u 'hearth*'",
        Scope::System => "it needs root; see journalctl -u 'hearth*'",
    };
    anyhow::ensure!(status, "systemctl {} {} failed; {advice}", scope.flag(), arguments.join(" "));
    Ok(())
}

/// Shows the unit's state. A stopped or missing unit is no error.
pub(crate) fn show(program: Program, scope: Scope) -> Result<()> {
    require()?;
    systemctl(scope, &["status", "--no-pager", "--lines=5", program.unit_name()]).map(drop)
}

fn systemctl(scope: Scope, arguments: &[&str]) -> Result<bool> {
    let status = Command::new("systemctl").arg(scope.flag()).args(arguments).status();
    Ok(status.context("systemctl can't be started")?.success())
}
