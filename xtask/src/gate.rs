//! `cargo xtask test`: every check that a change must pass, the quickest first.

mod acme;
mod conformance;
mod features;
mod gateway;
mod infra;
mod moto;
mod observability;
mod release;
mod scratch;
mod smoke;
mod steps;

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};

use self::steps::{STEPS, Step};
use crate::tools::{self, Tool};
use crate::workspace::Workspace;

/// Outcome of a step that did not fail.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    Passed,
    /// Not run, with the reason.
    Skipped(&'static str),
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    skip_sdk: bool,
    only: Option<String>,
}

impl Options {
    pub(crate) fn parse(arguments: &[String]) -> Result<Self> {
        let mut options = Self::default();
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--skip-sdk" => options.skip_sdk = true,
                "--only" => options.only = Some(step_name(arguments.next().map_or("", String::as_str))?),
                other => bail!("`cargo xtask test` knows no `{other}`"),
            }
        }
        Ok(options)
    }

    fn steps(&self) -> Vec<&'static Step> {
        let wanted = |step: &&Step| match &self.only {
            Some(only) => step.name == only,
            None => !(self.skip_sdk && step.name == "sdk"),
        };
        STEPS.iter().filter(wanted).collect()
    }
}

fn step_name(name: &str) -> Result<String> {
    let names: Vec<&str> = STEPS.iter().map(|step| step.name).collect();
    if !names.contains(&name) {
        bail!("`--only` takes one of: {}", names.join(", "));
    }
    Ok(name.to_owned())
}

/// Starts a folder of `cargo xtask dist`, asks two models, and runs the doctor.
///
/// # Errors
/// A command fails or answers something else, or llama.cpp was compiled with other flags than in a release.
pub(crate) fn smoke_test(workspace: &Workspace, profile: &str, folder: &Path) -> Result<()> {
    smoke::test_folder(workspace, profile, folder)
}

pub(crate) fn run(workspace: Workspace, options: &Options) -> Result<()> {
    let workspace = &workspace.with_lints();
    let steps = options.steps();
    let start = Instant::now();
    println!("── tools");
    tools::ensure(workspace, &needed(&steps))?;
    let mut lines = vec![line("tools", start.elapsed(), &Outcome::Passed)];

    let is_beside =
        |step: &Step| step.beside.is_some_and(|name| steps.iter().any(|other| other.name == name));
    for (index, step) in steps.iter().enumerate() {
        if is_beside(step) {
            continue;
        }
        let beside =
            steps.iter().filter(|other| other.beside == Some(step.name)).copied().collect::<Vec<_>>();
        let names = [&[*step], beside.as_slice()].concat().iter().map(|step| step.name).collect::<Vec<_>>();
        println!("\n── {} ({}/{}): {}", names.join(", beside it "), index + 1, steps.len(), step.about);
        if let Some(prepare) = step.prepare {
            prepare(workspace)?;
        }
        let finished = thread::scope(|scope| {
            let others =
                beside.iter().map(|step| scope.spawn(|| finish(workspace, step))).collect::<Vec<_>>();
            let own = finish(workspace, step);
            let others =
                others.into_iter().map(|other| other.join().unwrap_or_else(|_| bail!("a step panicked")));
            std::iter::once(own).chain(others).collect::<Result<Vec<String>>>()
        });
        lines.extend(finished?);
    }

    println!("\n── summary\n{}", lines.join("\n"));
    println!("\nall passed in {:.0} s", start.elapsed().as_secs_f64());
    Ok(())
}

/// Runs a step, and returns its line of the summary.
fn finish(workspace: &Workspace, step: &Step) -> Result<String> {
    let start = Instant::now();
    let outcome = (step.run)(workspace).map_err(|error| {
        anyhow!("{error:#}\n\nto run this step alone: cargo xtask test --only {}", step.name)
    })?;
    if let Outcome::Skipped(reason) = &outcome {
        println!("skipped: {reason}");
    }
    Ok(line(step.name, start.elapsed(), &outcome))
}

/// Returns the tools of all these steps, each once.
fn needed(steps: &[&Step]) -> Vec<Tool> {
    let mut tools: Vec<Tool> = steps.iter().flat_map(|step| step.needs).copied().collect();
    tools.sort_unstable();
    tools.dedup();
    tools
}

fn line(name: &str, elapsed: Duration, outcome: &Outcome) -> String {
    let seconds = elapsed.as_secs_f64();
    match outcome {
        Outcome::Passed => format!("{name:<8}{seconds:>8.1} s"),
        Outcome::Skipped(reason) => format!("{name:<8}{seconds:>8.1} s  skipped: {reason}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Options> {
        Options::parse(&arguments.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    fn names(arguments: &[&str]) -> Vec<&'static str> {
        parse(arguments).unwrap().steps().iter().map(|step| step.name).collect()
    }

    #[test]
    fn options_select_the_steps() {
        assert_eq!(names(&[]).len(), STEPS.len());
        assert!(!names(&["--skip-sdk"]).contains(&"sdk"));
        assert_eq!(names(&["--only", "build"]), ["build"]);
        assert_eq!(names(&["--only", "sdk", "--skip-sdk"]), ["sdk"]);
    }

    #[test]
    fn unknown_option_or_step_is_refused() {
        for arguments in [&["--only"][..], &["--only", "lint"], &["--fast"]] {
            assert!(parse(arguments).is_err(), "{arguments:?}");
        }
        assert!(parse(&["--only", "lint"]).unwrap_err().to_string().contains("fmt, build"));
    }

    #[test]
    fn each_tool_is_needed_once() {
        let all: Vec<&Step> = STEPS.iter().collect();
        let tools = needed(&all);
        assert_eq!(tools.iter().filter(|tool| **tool == Tool::Cmake).count(), 1);
        assert!(tools.contains(&Tool::Nextest));
    }

    #[test]
    fn summary_has_columns() {
        assert_eq!(line("fmt", Duration::from_millis(1250), &Outcome::Passed), "fmt          1.2 s");
        assert_eq!(
            line("deny", Duration::ZERO, &Outcome::Skipped("not installed")),
            "deny         0.0 s  skipped: not installed"
        );
    }
}
