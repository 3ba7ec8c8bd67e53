//! systemd, asked by its command.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use super::unit;

/// It is there while systemd runs the machine.
const BOOTED: &str = "/run/systemd/system";

/// Whose service it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// The user's.
    User,
    /// The machine's.
    System,
}

impl Scope {
    /// The unit's file.
    pub(super) fn unit_path(self) -> Result<PathBuf> {
        Ok(match self {
            Self::User => dirs::config_dir()
                .context("there is no configuration folder: HOME isn't set")?
                .join("systemd/user")
                .join(unit::NAME),
            Self::System => Path::new("/etc/systemd/system").join(unit::NAME),
        })
    }

    fn flag(self) -> &'static str {
        match self {
            Self::User => "--user",
            Self::System => "--system",
        }
    }
}

/// Refuses to go on where systemd doesn't run the machine.
pub(super) fn require() -> Result<()> {
    anyhow::ensure!(
        Path::new(BOOTED).is_dir(),
        "systemd doesn't run this machine, so it can't start Hearth; `hearth service print` prints the unit, and in a \
         container `hearth up` itself is the program to start"
    );
    Ok(())
}

/// Calls `systemctl`.
///
/// # Errors
/// It can't be started, or refuses; its own message is on standard error.
pub(super) fn call(scope: Scope, arguments: &[&str]) -> Result<()> {
    let status = systemctl(scope, arguments)?;
    let advice = match scope {
        Scope::User => "journalctl --user -u hearth may say more",
        Scope::System => "it takes root; journalctl -u hearth may say more",
    };
    anyhow::ensure!(status, "systemctl {} {} failed; {advice}", scope.flag(), arguments.join(" "));
    Ok(())
}

/// Shows the unit's state. That it is stopped, or not installed, is no error of this command.
pub(super) fn show(scope: Scope) -> Result<()> {
    require()?;
    systemctl(scope, &["status", "--no-pager", "--lines=5", unit::NAME]).map(drop)
}

fn systemctl(scope: Scope, arguments: &[&str]) -> Result<bool> {
    let status = Command::new("systemctl").arg(scope.flag()).args(arguments).status();
    Ok(status.context("systemctl can't be started")?.success())
}
