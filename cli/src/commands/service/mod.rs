//! `hearth service`: runs `hearth up` under systemd, which starts it with the machine and restarts it after a crash.

pub(crate) mod systemd;
pub(crate) mod unit;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};
use hearth_files::{Access, write_atomically};

use unit::{Program, Scope};

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
            ServiceCommand::Status => systemd::show(Program::Gateway, scope),
            ServiceCommand::Uninstall => uninstall(scope),
            ServiceCommand::Print => {
                print!("{}", unit::text(Program::Gateway, scope, &executable()?, None));
                Ok(())
            }
        }
    }
}

fn install(scope: Scope) -> Result<()> {
    install_unit(Program::Gateway, scope, None)?;
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

/// Writes a unit, with the flag `--data` for a folder `data`; enables it and starts it.
pub(crate) fn install_unit(program: Program, scope: Scope, data: Option<&Path>) -> Result<()> {
    systemd::require()?;
    let executable = executable()?;
    if scope == Scope::System {
        check_is_public(&executable)?;
    }
    let path = scope.unit_path(program)?;
    write(&path, &unit::text(program, scope, &executable, data))?;
    println!("wrote {}", path.display());
    systemd::call(scope, &["daemon-reload"])?;
    // Restart rather than `enable --now`, so that a running service uses the new unit.
    systemd::call(scope, &["enable", program.unit_name()])?;
    systemd::call(scope, &["restart", program.unit_name()])
}

fn uninstall(scope: Scope) -> Result<()> {
    let path = uninstall_unit(Program::Gateway, scope)?;
    println!("removed {}; the data folder and the models are still there", path.display());
    Ok(())
}

/// Stops a unit and removes it; returns its path.
pub(crate) fn uninstall_unit(program: Program, scope: Scope) -> Result<PathBuf> {
    systemd::require()?;
    let path = scope.unit_path(program)?;
    anyhow::ensure!(path.exists(), "there is no unit {}: the service is not installed", path.display());
    systemd::call(scope, &["disable", "--now", program.unit_name()])?;
    fs::remove_file(&path).with_context(|| format!("{} can't be removed", path.display()))?;
    systemd::call(scope, &["daemon-reload"])?;
    Ok(path)
}

/// The path of this program, with links unresolved: the target of a link may be a version that an update removes.
pub(crate) fn executable() -> Result<PathBuf> {
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

pub(crate) fn write(path: &Path, text: &str) -> Result<()> {
    let failed = || format!("{} can't be written", path.display());
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(failed)?;
    }
    write_atomically(path, text.as_bytes(), Access::Umask).with_context(failed)
}
