//! `hearth node install`: runs `hearth node run` as a service: of systemd, or of launchd on macOS.

mod launchd;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use hearth_node::link::NodeIdentity;

use crate::{
    client::terminal,
    commands::service::{
        executable, install_unit, uninstall_unit,
        unit::{self, Program, Scope},
    },
    context::{Context, ContextFlags},
    settings::{Settings, SettingsFlags},
};

/// Run this machine's node as a service of systemd or launchd
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hearth node install                    # for you: starts when you log in
  loginctl enable-linger                 # with systemd: from the machine's start on
  sudo hearth node install --system      # systemd: for the machine, with a user of its own
  hearth node install --print            # shows the unit, or launchd's property list
  journalctl --user -u hearth-node       # its messages
  hearth node install --remove

The machine's service has its data in /var/lib/hearth: enrol it there, with `sudo hearth node enroll GATEWAY CODE --data \
/var/lib/hearth`.")]
pub(crate) struct Install {
    /// The machine's service, rather than yours; with systemd
    #[arg(long)]
    system: bool,
    /// Print the file that would be written, and change nothing
    #[arg(long)]
    print: bool,
    /// Stop the service and remove it; the enrolment stays
    #[arg(long, conflicts_with = "print")]
    remove: bool,
    /// The data folder of your service
    #[arg(long, value_name = "DIR", conflicts_with_all = ["system", "remove"])]
    data: Option<PathBuf>,
}

/// The data folder of the machine's service, which its unit names.
const SYSTEM_DATA: &str = "/var/lib/hearth";

impl Install {
    pub(super) fn flags(&self) -> ContextFlags {
        SettingsFlags::with_data(self.data.clone()).into()
    }

    /// Installs, prints or removes the service.
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let is_mac = cfg!(target_os = "macos");
        ensure!(!is_mac || !self.system, "on macOS the service is yours: leave out --system");
        let scope = if self.system { Scope::System } else { Scope::User };
        if self.remove {
            let path = if is_mac { launchd::remove()? } else { uninstall_unit(Program::Node, scope)? };
            return Ok(terminal::print_line(&format!("removed {}; the enrolment stays", path.display()))?);
        }
        let own =
            std::path::absolute(&context.settings.data).context("the data folder has no absolute path")?;
        let default = std::path::absolute(Settings::default().data).ok();
        // The machine's unit names its folder itself.
        let named = Some(own.as_path()).filter(|own| !self.system && default.as_deref() != Some(*own));
        let data = if self.system { Path::new(SYSTEM_DATA) } else { &own };
        if self.print {
            let executable = executable()?;
            let text = match is_mac {
                true => launchd::text(&executable, data),
                false => unit::text(Program::Node, scope, &executable, named),
            };
            terminal::print(&text)?;
            if let Ok(None) = NodeIdentity::load(data) {
                terminal::note(&format!("note: {}", self.not_enrolled(data, named)));
            }
            return Ok(());
        }
        match NodeIdentity::load(data) {
            Ok(None) => bail!(self.not_enrolled(data, named)),
            // Without root, systemd gives the better error.
            Err(error) if !self.system => return Err(error.into()),
            _ => {}
        }
        match is_mac {
            true => launchd::install(&executable()?, data)?,
            false => install_unit(Program::Node, scope, named)?,
        }
        terminal::print_line("the node runs as a service")?;
        terminal::next_steps(false, &["hearth node list    # where you use the gateway"]);
        Ok(())
    }

    /// Says that the folder has no enrolment, with the command that enrols.
    fn not_enrolled(&self, data: &Path, named: Option<&Path>) -> String {
        let data = data.display();
        let sudo = if self.system { "sudo " } else { "" };
        let flag = if self.system || named.is_some() { format!(" --data {data}") } else { String::new() };
        format!(
            "this machine isn't enrolled in the data folder {data}: run `{sudo}hearth node enroll GATEWAY CODE{flag}` first, \
             with a code of `hearth node code`"
        )
    }
}
