//! `hearth service`: `hearth up` under systemd, so that it starts with the machine and is restarted after a crash.

mod systemd;
mod unit;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};

use systemd::Scope;

/// Run Hearth as a service of systemd
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hearth service install                  # for you: starts when you log in
  loginctl enable-linger                  # and from the machine's start on
  sudo hearth service install --system    # for the machine, as a user of its own
  hearth service status
  journalctl --user -u hearth             # its messages
  hearth service uninstall

The service takes the same settings as `hearth up`: hearth/hearth.toml in your configuration folder, or for the \
machine /etc/hearth/hearth.toml, with the data in /var/lib/hearth. After a change: systemctl --user restart hearth.")]
pub(crate) struct Service {
    #[command(subcommand)]
    command: ServiceCommand,
    /// The machine's service, rather than yours
    #[arg(long, global = true)]
    system: bool,
}

/// What to do with the service.
#[derive(Debug, Clone, Copy, Subcommand)]
enum ServiceCommand {
    /// Write the unit, enable it and start it
    Install,
    /// Show what systemd says of it
    Status,
    /// Stop it and remove the unit; models and data stay
    Uninstall,
    /// Print the unit that `install` would write
    Print,
}

/// Does what was asked.
///
/// # Errors
/// There is no systemd, a file can't be written, or systemd refuses.
pub(crate) fn run(service: &Service) -> Result<()> {
    let scope = if service.system { Scope::System } else { Scope::User };
    match service.command {
        ServiceCommand::Install => install(scope),
        ServiceCommand::Status => systemd::show(scope),
        ServiceCommand::Uninstall => uninstall(scope),
        ServiceCommand::Print => {
            print!("{}", unit::text(scope, &executable()?));
            Ok(())
        }
    }
}

fn install(scope: Scope) -> Result<()> {
    systemd::require()?;
    let executable = executable()?;
    if scope == Scope::System {
        check_is_everybodys(&executable)?;
    }
    let path = scope.unit_path()?;
    write(&path, &unit::text(scope, &executable))?;
    println!("wrote {}", path.display());
    systemd::call(scope, &["daemon-reload"])?;
    // Not `enable --now`: one that runs is to run the new unit.
    systemd::call(scope, &["enable", unit::NAME])?;
    systemd::call(scope, &["restart", unit::NAME])?;
    println!(
        "the service runs, at the address of the settings (http://127.0.0.1:8080 unless they say otherwise)"
    );
    let next = match scope {
        Scope::User => [
            "next: hearth service status; hearth chat",
            "next: loginctl enable-linger    # has it start with the machine, and not only when you log in",
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
    anyhow::ensure!(path.exists(), "there is no unit {}; nothing is installed", path.display());
    systemd::call(scope, &["disable", "--now", unit::NAME])?;
    fs::remove_file(&path).with_context(|| format!("{} can't be removed", path.display()))?;
    systemd::call(scope, &["daemon-reload"])?;
    println!("removed {}; the data folder and the models are still there", path.display());
    Ok(())
}

/// The program's own path. A link that is followed would name a version that an update removes.
fn executable() -> Result<PathBuf> {
    let path = std::env::current_exe().context("this program's own file can't be found")?;
    let text = path.to_str().context("the path of this program is not valid UTF-8")?;
    anyhow::ensure!(
        !text.ends_with(" (deleted)"),
        "the file of this program was replaced while it ran; run the command again"
    );
    Ok(path)
}

/// The machine's service runs as a user of its own, and sees neither homes nor temporary folders.
fn check_is_everybodys(executable: &Path) -> Result<()> {
    let private = ["/home", "/root", "/run/user", "/tmp", "/var/tmp"];
    anyhow::ensure!(
        !private.iter().any(|folder| executable.starts_with(folder)),
        "the machine's service can't run {}, which lies in a folder of one user; copy the folder that `cargo xtask dist` \
         makes to /opt/hearth, and run /opt/hearth/hearth service install --system",
        executable.display()
    );
    Ok(())
}

/// Writes the unit whole or not at all.
fn write(path: &Path, text: &str) -> Result<()> {
    let failed = || format!("{} can't be written", path.display());
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(failed)?;
    }
    let beside = path.with_extension("service.new");
    fs::write(&beside, text)
        .and_then(|()| fs::rename(&beside, path))
        .inspect_err(|_| drop(fs::remove_file(&beside)))
        .with_context(failed)
}
