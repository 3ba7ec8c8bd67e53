//! `cargo xtask up`: from a machine with cargo to a running Hearth, in one command.

use std::process::Command;

use anyhow::{Context, Result};

use crate::tools;
use crate::workspace::Workspace;
use crate::{dist, environment};

/// Minutes of the first build on two cores, fast and slow ones. README.md has the same.
const FIRST_BUILD_MINUTES: (u32, u32) = (15, 25);

/// The flags of the build, which come first; all else is for Hearth.
#[derive(Debug, PartialEq, Eq)]
struct BuildFlags<'a> {
    features: Option<&'a str>,
    /// Build the engine for images too.
    pictures: bool,
    rest: &'a [String],
}

impl<'a> BuildFlags<'a> {
    fn parse(arguments: &'a [String]) -> Self {
        let mut flags = Self { features: None, pictures: false, rest: arguments };
        loop {
            match flags.rest {
                [flag, features, rest @ ..] if flag == "--features" => {
                    (flags.features, flags.rest) = (Some(features.as_str()), rest);
                }
                [flag, rest @ ..] if flag == "--pictures" => (flags.pictures, flags.rest) = (true, rest),
                _ => return flags,
            }
        }
    }
}

pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    let BuildFlags { features, pictures, rest: arguments } = BuildFlags::parse(arguments);
    eprintln!("1/3 tools");
    tools::ensure_for_this_machine(workspace)?;

    let binary = workspace.binary("release", "hearth");
    let (fast, slow) = FIRST_BUILD_MINUTES;
    let estimate = format!(" (the first time {fast} minutes on two fast cores, {slow} on two slow ones)");
    eprintln!("2/3 build{}", if binary.exists() { "" } else { &estimate });
    dist::build(workspace, "release", features)?;
    if pictures {
        dist::build_pictures(workspace, "release", features)?;
    }

    eprintln!("3/3 start");
    let mut hearth = Command::new(&binary);
    hearth.arg("up").args(arguments);
    for name in environment::set_by_cargo_run() {
        hearth.env_remove(name);
    }
    become_program(&mut hearth).with_context(|| format!("cannot start {}", binary.display()))
}

/// Replaces this process by the program, so that it gets the signals and its exit status is the result.
#[cfg(unix)]
fn become_program(command: &mut Command) -> Result<()> {
    use std::os::unix::process::CommandExt as _;
    Err(command.exec().into())
}

#[cfg(not(unix))]
fn become_program(command: &mut Command) -> Result<()> {
    let status = command.status()?;
    std::process::exit(status.code().unwrap_or(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readme_has_the_same_duration_of_the_first_build() {
        let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md")).unwrap();
        let (fast, slow) = FIRST_BUILD_MINUTES;
        let text = format!("takes {fast} minutes on two fast cores, and {slow} on two slow ones.");
        let readme = readme.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(readme.contains(&text), "README.md doesn't say: {text}");
    }

    #[test]
    fn flags_of_the_build_come_first() {
        let line = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<String>>();
        for (text, features, pictures, rest) in [
            ("", None, false, 0),
            ("--port 1", None, false, 2),
            ("--features vulkan --pictures --port 1", Some("vulkan"), true, 2),
            ("--pictures", None, true, 0),
            ("--port 1 --pictures", None, false, 3),
        ] {
            let arguments = line(text);
            let flags = BuildFlags::parse(&arguments);
            assert_eq!(
                (flags.features, flags.pictures, flags.rest.len()),
                (features, pictures, rest),
                "{text}"
            );
        }
    }
}
