//! The unit's text.

use std::path::Path;

use super::systemd::Scope;

/// The unit's name, as `systemctl` takes it.
pub(super) const NAME: &str = "hearth.service";

/// What both have. `hearth up` ends within 15 s of SIGTERM, and its workers end with it. A hardened service can be
/// asked for nothing that a gateway doesn't do: new privileges, kernel modules, other address families, raw I/O.
/// Programs for GPUs need writable and executable memory, so that isn't forbidden.
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

/// What systemd can only do for the machine's services.
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

/// Groups that own the devices of GPUs, where the build is for one; else there are no devices at all.
const DEVICES: &str = if cfg!(any(feature = "cuda", feature = "vulkan")) {
    "SupplementaryGroups=video render\n"
} else {
    "PrivateDevices=yes\n"
};

/// The unit that runs `executable`.
pub(super) fn text(scope: Scope, executable: &Path) -> String {
    let (sandbox, wanted_by) = match scope {
        Scope::User => (String::new(), "default.target"),
        Scope::System => (format!("{SYSTEM}{DEVICES}"), "multi-user.target"),
    };
    let network = match scope {
        // A user's manager doesn't know the machine's targets.
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

/// A path as a word of `ExecStart`: in quotes, with systemd's own signs escaped.
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
    fn units_name_the_program_and_their_target() {
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
    fn odd_paths_are_quoted() {
        assert_eq!(quoted(Path::new("/a b/100%/$x/\"y\"")), "\"/a b/100%%/$$x/\\\"y\\\"\"");
    }
}
