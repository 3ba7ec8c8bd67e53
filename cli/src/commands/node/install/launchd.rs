//! launchd's agent for the node: its property list, and the calls of `launchctl`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};

use crate::commands::service::write;

/// The agent's label, and the beginning of its file's name.
const LABEL: &str = "org.hearth.node";

/// The path of the property list.
fn path() -> Result<PathBuf> {
    let home = dirs::home_dir().context("there is no home folder: HOME isn't set")?;
    Ok(home.join("Library/LaunchAgents").join(format!("{LABEL}.plist")))
}

/// Writes the property list that runs `executable` with the data folder `data`, where its log is too.
pub(super) fn text(executable: &Path, data: &Path) -> String {
    let (executable, log, data) = (escaped(executable), escaped(&data.join("node.log")), escaped(data));
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<!-- Written by `hearth node install`; `hearth node install -​-remove` removes it. -->
<plist version="1.0">
<dict>
  <key>Label</key>
  <string>{LABEL}</string>
  <key>ProgramArguments</key>
  <array>
    <string>{executable}</string>
    <string>node</string>
    <string>run</string>
    <string>--data</string>
    <string>{data}</string>
  </array>
  <key>RunAtLoad</key>
  <true/>
  <key>KeepAlive</key>
  <dict>
    <key>SuccessfulExit</key>
    <false/>
  </dict>
  <key>ProcessType</key>
  <string>Interactive</string>
  <key>StandardErrorPath</key>
  <string>{log}</string>
</dict>
</plist>
"#
    )
}

/// Writes the property list, and starts the agent.
pub(super) fn install(executable: &Path, data: &Path) -> Result<()> {
    let path = path()?;
    write(&path, &text(executable, data))?;
    // A running agent would keep the earlier list.
    let _ = launchctl(&["unload", &path.to_string_lossy()]);
    launchctl(&["load", "-w", &path.to_string_lossy()])
}

/// Stops the agent, and removes its property list; returns the list's path.
pub(super) fn remove() -> Result<PathBuf> {
    let path = path()?;
    ensure!(path.exists(), "there is no {}: the service is not installed", path.display());
    launchctl(&["unload", "-w", &path.to_string_lossy()])?;
    fs::remove_file(&path).with_context(|| format!("{} can't be removed", path.display()))?;
    Ok(path)
}

fn launchctl(arguments: &[&str]) -> Result<()> {
    let status = Command::new("launchctl").args(arguments).status().context("launchctl can't be started")?;
    ensure!(status.success(), "launchctl {} failed", arguments.join(" "));
    Ok(())
}

/// A path as text of XML.
fn escaped(path: &Path) -> String {
    path.display().to_string().replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn property_list_runs_the_node_and_keeps_it_alive() {
        let text = text(Path::new("/opt/a & b/hearth"), Path::new("/data"));
        assert!(text.contains("<string>/opt/a &amp; b/hearth</string>\n    <string>node</string>"), "{text}");
        assert!(
            text.contains("<string>run</string>\n    <string>--data</string>\n    <string>/data</string>"),
            "{text}"
        );
        assert!(text.contains("<string>/data/node.log</string>") && text.contains(LABEL), "{text}");
    }
}
