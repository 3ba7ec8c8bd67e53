//! `cargo xtask`: commands of the project, in Rust so that a newcomer needs nothing but cargo.
//!
//! One file per command: [`up`] starts Hearth from a clean machine, [`gate`] is every check that a change
//! must pass, [`tidy`] is the part of it that reads the tree alone.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the terminal is what this program is for")]

mod bench;
mod dist;
mod environment;
mod gate;
mod openapi;
mod package;
mod permissions_page;
mod progress;
mod shell;
mod tidy;
mod tools;
mod up;
mod venv;
mod workspace;

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::workspace::Workspace;

const USAGE: &str = "\
The project's own commands.

Usage: cargo xtask <command>

  up [args...]    Install what is missing, build Hearth, and start it: `hearth up [args...]`
      --features <f>  build with more features: cuda, vulkan or metal
      --pictures      build the engine for image models too
  test            Run every check that a change must pass
      --skip-sdk      leave the conformance suites of the vendors' SDKs out
      --only <step>   run one step
  tidy            Run the checks that read the tree alone
  openapi         Write docs/openapi.json and docs/permissions.md from the routes
  dist            Build Hearth, and put it with its libraries into a folder that runs wherever it is copied
      --features <f>  build with more features: cuda, vulkan or metal
      --pictures      with the engine for image models
      --out <folder>  put it there
      --smoke         start it there, ask two models, and run the doctor
  package         Build the Lambda functions into a folder that `sam deploy` takes, and measure size and cold start
      --arch <arch>   arm64 or x86_64; by default what infra/template.yaml says
      --out <folder>  put it there
  bench node      Measure the node beside llama.cpp's own server; --help has the options
  bench gateway   Measure the gateway beside others from PyPI and npm; --help has the options
  bench relay     Measure a node behind a router beside the node alone; --help has the options
  bench store     Measure the writes of the store of `hearth up`; --help has the options
  bench soak      Run everything under load for ten minutes, and check that nothing is lost
      --portable      measure the binary that `dist` ships, with LTO
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<()> {
    let Some((command, rest)) = arguments.split_first() else {
        print!("{USAGE}");
        return Ok(());
    };
    match command.as_str() {
        "up" => up::run(&Workspace::load()?, rest),
        "test" => gate::run(Workspace::load()?, &gate::Options::parse(rest)?),
        "tidy" => none_of(rest).and_then(|()| tidy::run(&Workspace::load()?)),
        "openapi" => none_of(rest).and_then(|()| openapi::run(&Workspace::load()?)),
        "dist" => dist::run(&Workspace::load()?, &dist::Options::parse(rest)?),
        "package" => package::run(&Workspace::load()?, &package::Options::parse(rest)?),
        "bench" => bench::run(&Workspace::load()?, rest),
        "help" | "--help" | "-h" => {
            print!("{USAGE}");
            Ok(())
        }
        other => bail!("there is no command `{other}`\n\n{USAGE}"),
    }
}

fn none_of(arguments: &[String]) -> Result<()> {
    match arguments.first() {
        Some(argument) => bail!("unexpected argument `{argument}`"),
        None => Ok(()),
    }
}
