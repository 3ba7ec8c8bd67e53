//! Calls of systemd's command, `systemctl`.

use std::{path::Path, process::Command};

use anyhow::{Context as _, Result};

use super::unit::{NAME, Scope};

/// A folder that exists while systemd runs the machine.
const SYSTEMD_FOLDER: &str = "/run/systemd/system";

/// Fails if systemd doesn't run the machine.
pub(super) fn require() -> Result<()> {
    anyhow::ensure!(
        Path::new(SYSTEMD_FOLDER).is_dir(),
        "systemd doesn't run this machine, so it can't start Hearth; `hearth service print` prints the unit, and in a \
         container start `hearth up` itself"
    );
    Ok(())
}

/// Calls `systemctl`.
///
/// # Errors
/// It can't be started, or fails; its own message is on standard error.
pub(super) fn call(scope: Scope, arguments: &[&str]) -> Result<()> {
    let status = systemctl(scope, arguments)?;
    let advice = match scope {
        Scope::User => "see journalctl --user -u hearth",
        Scope::System => "it needs root; see journalctl -u hearth",
    };
    anyhow::ensure!(status, "systemctl {} {} failed; {advice}", scope.flag(), arguments.join(" "));
    Ok(())
}

/// Shows the unit's state. A stopped or missing unit is no error.
pub(super) fn show(scope: Scope) -> Result<()> {
    require()?;
    systemctl(scope, &["status", "--no-pager", "--lines=5", NAME]).map(drop)
}

fn systemctl(scope: Scope, arguments: &[&str]) -> Result<bool> {
    let status = Command::new("systemctl").arg(scope.flag()).args(arguments).status();
    Ok(status.context("systemctl can't be started")?.success())
}
