//! The commands that a build without the feature `engine` can't run: each says how to get a build that can.

use std::ffi::OsString;

use anyhow::Result;

use crate::context::{Context, ContextFlags};

/// A command that needs the engine, with any arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct NeedsEngine {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    arguments: Vec<OsString>,
}

/// The error of a command or an option that needs the engine.
pub(crate) fn unavailable(subject: &str) -> anyhow::Error {
    anyhow::anyhow!(
        "{subject} needs the engine, which this hearth was built without; build one with it, in Hearth's source folder, by \
         `cargo xtask up`, or by `cargo build --release` where cmake, a C++ compiler and libclang are installed"
    )
}

impl NeedsEngine {
    pub(crate) fn flags(&self) -> ContextFlags {
        ContextFlags::default()
    }

    /// Fails, and names the build that has the command.
    pub(crate) async fn run(self, _: &Context) -> Result<()> {
        Err(unavailable("this command"))
    }
}

pub(crate) mod up {
    pub(crate) use super::NeedsEngine as Up;
}

pub(crate) mod node {
    pub(crate) mod run {
        pub(crate) use super::super::NeedsEngine as Run;
    }

    pub(crate) mod enroll {
        pub(crate) use super::super::NeedsEngine as Enroll;
    }

    pub(crate) mod install {
        pub(crate) use super::super::NeedsEngine as Install;
    }
}

pub(crate) mod storage {
    pub(crate) use super::NeedsEngine as Storage;
}

pub(crate) mod service {
    use super::*;

    /// Run Hearth as a service of systemd
    #[derive(Debug, clap::Args)]
    pub(crate) struct Service {
        #[command(flatten)]
        command: NeedsEngine,
    }

    impl Service {
        pub(crate) fn run(self) -> Result<()> {
            Err(unavailable("a service"))
        }
    }
}

pub(crate) mod this_machine {
    use super::*;

    pub(crate) async fn examine(context: &Context) -> Result<()> {
        let url = if context.is_url_set { context.connection.url() } else { "URL" };
        let subject = format!("`hearth doctor --url {url}` checks a gateway. The check of this machine");
        Err(unavailable(&subject))
    }
}
