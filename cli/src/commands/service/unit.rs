//! The unit: its name, its place, and its text.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// The program of a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    /// `hearth up`.
    Gateway,
    /// `hearth node run`.
    Node,
}

impl Program {
    /// The unit's name for `systemctl`.
    pub(crate) fn unit_name(self) -> &'static str {
        match self {
            Self::Gateway => "hearth.service",
            Self::Node => "hearth-node.service",
        }
    }

    fn description(self) -> &'static str {
        match self {
            Self::Gateway => "Hearth, an AI gateway with local models",
            Self::Node => "Hearth's node, which runs local models for a gateway",
        }
    }

    fn arguments(self) -> &'static str {
        match self {
            Self::Gateway => "up --quiet",
            Self::Node => "node run",
        }
    }

    /// The commands that write and remove the unit.
    fn commands(self) -> (&'static str, &'static str) {
        match self {
            Self::Gateway => ("hearth service install", "hearth service uninstall"),
            Self::Node => ("hearth node install", "hearth node install --remove"),
        }
    }
}

/// The owner of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// The user.
    User,
    /// The machine.
    System,
}

impl Scope {
    /// The path of the unit's file.
    pub(crate) fn unit_path(self, program: Program) -> Result<PathBuf> {
        Ok(match self {
            Self::User => dirs::config_dir()
                .context("there is no configuration folder: HOME isn't set")?
                .join("systemd/user")
                .join(program.unit_name()),
            Self::System => Path::new("/etc/systemd/system").join(program.unit_name()),
        })
    }

    pub(super) fn flag(self) -> &'static str {
        match self {
            Self::User => "--user",
            Self::System => "--system",
        }
    }
}

/// Directives of both units. `hearth up` ends within 15 s of SIGTERM, and its workers end with it. The service is denied
/// what a gateway doesn't need: new privileges, kernel modules, other address families, raw I/O. Programs for GPUs need
/// writable and executable memory, so that is allowed.
const COMMON: &str = "\
Restart=on-failure
RestartSec=2
TimeoutStopSec=30
KillMode=mixed
UMask=0077
LimitNOFILE=65536
NoNewPrivileges=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictNamespaces=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
SystemCallArchitectures=native
SystemCallFilter=@system-service landlock_create_ruleset landlock_add_rule landlock_restrict_self
SystemCallFilter=~@privileged @obsolete
SystemCallErrorNumber=EPERM
";

/// Directives that systemd has only for the machine's services.
const SYSTEM: &str = "\
DynamicUser=yes
StateDirectory=hearth
StateDirectoryMode=0700
Environment=HEARTH_DATA=/var/lib/hearth HOME=/var/lib/hearth XDG_CONFIG_HOME=/etc
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
ProtectProc=invisible
RemoveIPC=yes
";

/// The groups that own the devices of GPUs, if the build is for a GPU; otherwise no devices.
const DEVICES: &str = if cfg!(any(feature = "cuda", feature = "vulkan")) {
    "SupplementaryGroups=video render\n"
} else {
    "PrivateDevices=yes\n"
};

/// Writes the unit that runs `executable`, with the flag `--data` for a folder `data`.
pub(crate) fn text(program: Program, scope: Scope, executable: &Path, data: Option<&Path>) -> String {
    let (sandbox, wanted_by) = match scope {
        Scope::User => (String::new(), "default.target"),
        Scope::System => (format!("{SYSTEM}{DEVICES}"), "multi-user.target"),
    };
    let network = match scope {
        // A user's manager has no targets of the machine.
        Scope::User => "",
        Scope::System => "After=network-online.target\nWants=network-online.target\n",
    };
    let (install, remove) = program.commands();
    let (description, arguments) = (program.description(), program.arguments());
    let data = data.map(|data| format!(" --data {}", quoted(data))).unwrap_or_default();
    format!(
        "# Written by `{install}`; `{remove}` removes it.\n\
         [Unit]\n\
         Description={description}\n\
         {network}\n\
         [Service]\n\
         Type=exec\n\
         ExecStart={} {arguments}{data}\n\
         # Freed memory goes back after 100 ms; the allocator's default is a second.\n\
         Environment=MIMALLOC_PURGE_DELAY=100\n\
         {COMMON}{sandbox}\n\
         [Install]\n\
         WantedBy={wanted_by}\n",
        quoted(executable)
    )
}

/// Quotes a path for `ExecStart`, with systemd's special characters escaped.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '-' | '_' | '+');
    if text.chars().all(plain) {
        return text;
    }
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%").replace('$', "$$");
    format!("\"{escaped}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unit_has_the_program_and_its_target() {
        let user = text(Program::Gateway, Scope::User, Path::new("/opt/hearth/hearth"), None);
        assert!(user.contains("\nExecStart=/opt/hearth/hearth up --quiet\n"), "{user}");
        assert!(user.contains("WantedBy=default.target") && !user.contains("DynamicUser"), "{user}");
        let system = text(Program::Gateway, Scope::System, Path::new("/opt/hearth/hearth"), None);
        assert!(
            system.contains("DynamicUser=yes") && system.contains("WantedBy=multi-user.target"),
            "{system}"
        );
        assert!(system.contains("NoNewPrivileges=yes"), "{system}");
    }

    #[test]
    fn unit_names_a_data_folder() {
        let data = Some(Path::new("/a b/data"));
        let unit = text(Program::Node, Scope::User, Path::new("/opt/hearth"), data);
        assert!(unit.contains("\nExecStart=/opt/hearth node run --data \"/a b/data\"\n"), "{unit}");
    }

    #[test]
    fn path_with_special_characters_is_quoted() {
        assert_eq!(quoted(Path::new("/a b/100%/$x/\"y\"")), "\"/a b/100%%/$$x/\\\"y\\\"\"");
    }
}
