//! `hearth service`: runs `hearth up` under systemd, which starts it with the machine and restarts it after a crash.

mod systemd;
mod unit;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};
use hearth_files::{Access, write_atomically};

use unit::Scope;

/// Run Hearth as a service of systemd
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hearth service install                  # for you: starts when you log in
  loginctl enable-linger                  # and from the machine's start on
  sudo hearth service install --system    # for the machine, with a user of its own
  hearth service status
  journalctl --user -u hearth             # its messages
  hearth service uninstall

The service has the same settings as `hearth up`: hearth/hearth.toml in your configuration folder, or for the \
machine /etc/hearth/hearth.toml, with the data in /var/lib/hearth. After a change: systemctl --user restart hearth.")]
pub(crate) struct Service {
    #[command(subcommand)]
    command: ServiceCommand,
    /// The machine's service, rather than yours
    #[arg(long, global = true)]
    system: bool,
}

/// Commands for the service.
#[derive(Debug, Clone, Copy, Subcommand)]
enum ServiceCommand {
    /// Write the unit, enable it and start it
    Install,
    /// Show its state
    Status,
    /// Stop it and remove the unit; models and data stay
    Uninstall,
    /// Print the unit that `install` would write
    Print,
}

impl Service {
    /// Runs the command.
    ///
    /// # Errors
    /// There is no systemd, a file can't be written, or systemd refuses.
    pub(crate) fn run(self) -> Result<()> {
        let scope = if self.system { Scope::System } else { Scope::User };
        match self.command {
            ServiceCommand::Install => install(scope),
            ServiceCommand::Status => systemd::show(scope),
            ServiceCommand::Uninstall => uninstall(scope),
            ServiceCommand::Print => {
                print!("{}", unit::text(scope, &executable()?));
                Ok(())
            }
        }
    }
}

fn install(scope: Scope) -> Result<()> {
    systemd::require()?;
    let executable = executable()?;
    if scope == Scope::System {
        check_is_public(&executable)?;
    }
    let path = scope.unit_path()?;
    write(&path, &unit::text(scope, &executable))?;
    println!("wrote {}", path.display());
    systemd::call(scope, &["daemon-reload"])?;
    // Restart rather than `enable --now`, so that a running service uses the new unit.
    systemd::call(scope, &["enable", unit::NAME])?;
    systemd::call(scope, &["restart", unit::NAME])?;
    println!("the service runs, at the address of the settings (by default http://127.0.0.1:8080)");
    let next = match scope {
        Scope::User => [
            "next: hearth service status; hearth chat",
            "next: loginctl enable-linger    # start it with the machine, and not only when you log in",
        ],
        Scope::System => [
            "next: sudo hearth service status --system",
            "next: sudo HEARTH_DATA=/var/lib/hearth hearth token create laptop    # a token for your programs",
        ],
    };
    next.iter().for_each(|line| eprintln!("{line}"));
    Ok(())
}

fn uninstall(scope: Scope) -> Result<()> {
    systemd::require()?;
    let path = scope.unit_path()?;
    anyhow::ensure!(path.exists(), "there is no unit {}: the service is not installed", path.display());
    systemd::call(scope, &["disable", "--now", unit::NAME])?;
    fs::remove_file(&path).with_context(|| format!("{} can't be removed", path.display()))?;
    systemd::call(scope, &["daemon-reload"])?;
    println!("removed {}; the data folder and the models are still there", path.display());
    Ok(())
}

/// The path of this program, with links unresolved: the target of a link may be a version that an update removes.
fn executable() -> Result<PathBuf> {
    let path = std::env::current_exe().context("this program's own file can't be found")?;
    let text = path.to_str().context("the path of this program is not valid UTF-8")?;
    anyhow::ensure!(
        !text.ends_with(" (deleted)"),
        "the file of this program was replaced while it ran; run the command again"
    );
    Ok(path)
}

/// Checks that the machine's service can run the program: its own user can read neither homes nor temporary folders.
fn check_is_public(executable: &Path) -> Result<()> {
    let private = ["/home", "/root", "/run/user", "/tmp", "/var/tmp"];
    anyhow::ensure!(
        !private.iter().any(|folder| executable.starts_with(folder)),
        "the machine's service can't run {}, which is in a folder of one user; copy the folder that `cargo xtask dist` \
         creates to /opt/hearth, and run /opt/hearth/hearth service install --system",
        executable.display()
    );
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<()> {
    let failed = || format!("{} can't be written", path.display());
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(failed)?;
    }
    write_atomically(path, text.as_bytes(), Access::Umask).with_context(failed)
}
