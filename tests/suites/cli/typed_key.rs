//! A key that is typed at a terminal.

#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::process::Stdio;

use hearth_tests::{Home, binary, eventually, skip, within};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    process::Command,
};

use crate::{command, succeeds};

const KEY: &str = "typed-0123456789-key";

/// Returns whether the terminal echoes what is typed.
async fn echoes(terminal: &str) -> bool {
    let settings = Command::new("stty").args(["-a", "-F", terminal]).output().await.unwrap();
    assert!(settings.status.success(), "{settings:?}");
    String::from_utf8_lossy(&settings.stdout).split([' ', '\n']).any(|setting| setting == "echo")
}

#[tokio::test]
async fn key_is_not_shown_while_it_is_typed() {
    // util-linux's `script` runs a command at a terminal of its own.
    let version = Command::new("script").arg("--version").output().await;
    if !version.is_ok_and(|version| String::from_utf8_lossy(&version.stdout).contains("util-linux")) {
        return skip("there is no `script` of util-linux");
    }
    let home = Home::start_without_node().await;
    let hearth = binary("hearth");
    let mut script = Command::new("script");
    let set = format!("tty; exec '{}' key set groq", hearth.display());
    script.args(["--quiet", "--return", "--flush", "--command", &set, "/dev/null"]);
    script.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", home.folder()).env("TERM", "dumb");
    script.env("HEARTH_URL", &home.url).env("HEARTH_TOKEN", &home.token);
    script.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = script.spawn().unwrap();
    let (mut keyboard, screen) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut screen = BufReader::new(screen);
    let mut terminal = String::new();
    within("the name of the terminal", screen.read_line(&mut terminal)).await.unwrap();
    let mut shown = Vec::new();
    within("the prompt", async {
        while !String::from_utf8_lossy(&shown).contains("not shown") {
            shown.push(screen.read_u8().await.unwrap());
        }
    })
    .await;
    eventually("a terminal without echo", async || (!echoes(terminal.trim()).await).then_some(())).await;
    keyboard.write_all(format!("{KEY}\n").as_bytes()).await.unwrap();
    within("the end of the command", screen.read_to_end(&mut shown)).await.unwrap();
    let shown = String::from_utf8_lossy(&shown);
    assert!(within("the exit status", child.wait()).await.unwrap().success(), "{shown}");
    assert!(shown.contains("the key of groq is set") && !shown.contains("typed"), "{shown}");
    let listed = succeeds(command(&home, &["key", "list"]), "").await;
    assert!(listed.lines().any(|line| line.starts_with("groq") && line.contains("set")), "{listed}");
    home.stop().await;
}
