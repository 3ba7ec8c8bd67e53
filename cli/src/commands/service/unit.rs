//! The unit: its name, its place, and its text.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// The unit's name for `systemctl`.
pub(super) const NAME: &str = "hearth.service";

/// The owner of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// The user.
    User,
    /// The machine.
    System,
}

impl Scope {
    /// The path of the unit's file.
    pub(super) fn unit_path(self) -> Result<PathBuf> {
        Ok(match self {
            Self::User => dirs::config_dir()
                .context("there is no configuration folder: HOME isn't set")?
                .join("systemd/user")
                .join(NAME),
            Self::System => Path::new("/etc/systemd/system").join(NAME),
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

/// Writes the unit that runs `executable`.
pub(super) fn text(scope: Scope, executable: &Path) -> String {
    let (sandbox, wanted_by) = match scope {
        Scope::User => (String::new(), "default.target"),
        Scope::System => (format!("{SYSTEM}{DEVICES}"), "multi-user.target"),
    };
    let network = match scope {
        // A user's manager has no targets of the machine.
        Scope::User => "",
        Scope::System => "After=network-online.target\nWants=network-online.target\n",
    };
    format!(
        "# Written by `hearth service install`; `hearth service uninstall` removes it.\n\
         [Unit]\n\
         Description=Hearth, an AI gateway with local models\n\
         {network}\n\
         [Service]\n\
         Type=exec\n\
         ExecStart={} up --quiet\n\
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
        let user = text(Scope::User, Path::new("/opt/hearth/hearth"));
        assert!(user.contains("\nExecStart=/opt/hearth/hearth up --quiet\n"), "{user}");
        assert!(user.contains("WantedBy=default.target") && !user.contains("DynamicUser"), "{user}");
        let system = text(Scope::System, Path::new("/opt/hearth/hearth"));
        assert!(
            system.contains("DynamicUser=yes") && system.contains("WantedBy=multi-user.target"),
            "{system}"
        );
        assert!(system.contains("NoNewPrivileges=yes"), "{system}");
    }

    #[test]
    fn path_with_special_characters_is_quoted() {
        assert_eq!(quoted(Path::new("/a b/100%/$x/\"y\"")), "\"/a b/100%%/$$x/\\\"y\\\"\"");
    }
}
