//! Smoke test of a folder as `cargo xtask dist` creates it: start, first answer, doctor, a second model.
//!
//! The gate assembles the folder of its own build, with the variants of this machine's processor: llama.cpp is compiled with
//! the same flags in every profile, which this checks. `cargo xtask dist --smoke` tests the folder that it has built.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::Outcome;
use super::gateway::Gateway;
use super::scratch::Scratch;
use crate::dist::{self, compile_flags};
use crate::shell;
use crate::workspace::Workspace;

const MODEL: &str = "models/tiny-chat/tiny-chat.gguf";
const QUESTION: &str = "What is the capital of France?";
const ANSWER: &str = "Paris";
const START_TIMEOUT: Duration = Duration::from_secs(120);
const STOP_TIMEOUT: Duration = Duration::from_secs(20);

/// The cargo profile of the gate's build.
const PROFILE: &str = "dev";

pub(super) fn run(workspace: &Workspace) -> Result<Outcome> {
    let scratch = Scratch::new("folder")?;
    let folder = scratch.0.join("hearth");
    dist::assemble(workspace, PROFILE, None, &folder)?;
    test_folder(workspace, PROFILE, &folder)?;
    Ok(Outcome::Passed)
}

/// Starts the program of a folder that was assembled of a build in `profile`, and uses it.
///
/// # Errors
/// llama.cpp has other flags than in a release, or a command fails or answers something else.
pub(super) fn test_folder(workspace: &Workspace, profile: &str, folder: &Path) -> Result<()> {
    compile_flags::check(&workspace.output(profile))?;
    let scratch = Scratch::new("smoke")?;
    let data = scratch.0.join("data");
    fs::create_dir_all(data.join("models"))?;
    fs::copy(workspace.root.join(MODEL), data.join("models/second.gguf")).context("cannot copy a model")?;

    let log = scratch.0.join("log");
    let file = fs::File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
    let mut up = hearth(workspace, folder);
    up.args(["up", "--port", "0", "--json", "--data"]).arg(&data).stderr(file);
    let gateway = Gateway::start(&mut up, START_TIMEOUT)?;
    let client = |arguments: &[&str]| {
        let mut client = hearth(workspace, folder);
        client.args(arguments).env("HEARTH_URL", &gateway.ready.url);
        client.env("HEARTH_TOKEN", &gateway.ready.token).env("NO_PROXY", "127.0.0.1");
        client
    };
    let tried = answers(client(&["generate", "--model", &gateway.ready.model, QUESTION]))
        .and_then(|()| answers(client(&["generate", "--model", "second", QUESTION])))
        .and_then(|()| {
            let mut doctor = client(&["doctor", "--data"]);
            shell::run(doctor.arg(&data))
        });
    let stopped = gateway.stop(STOP_TIMEOUT);
    if tried.is_err() {
        println!("\n{}:\n{}", log.display(), fs::read_to_string(&log).unwrap_or_default());
    }
    tried.and(stopped)
}

/// Command of the program in the folder, run outside of the workspace.
fn hearth(workspace: &Workspace, folder: &Path) -> Command {
    let program = folder.join("hearth").with_extension(std::env::consts::EXE_EXTENSION);
    let mut command = workspace.command(program);
    command.current_dir(folder);
    command
}

/// Runs a client command that asks [`QUESTION`].
///
/// # Errors
/// It fails, or the answer is another: the folder's backend computes wrong numbers.
fn answers(mut client: Command) -> Result<()> {
    let line = shell::line(&client);
    println!("$ {line}");
    let output = client.output().with_context(|| format!("cannot start `{line}`"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        bail!("`{line}` failed ({}): {}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    println!("{}", text.trim());
    ensure!(text.contains(ANSWER), "`{line}` did not answer {ANSWER}");
    Ok(())
}
