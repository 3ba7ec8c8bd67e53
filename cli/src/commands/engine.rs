//! `hearth engine`: child processes of the node.

use std::path::PathBuf;

use anyhow::Result;
use clap::Subcommand;
use hearth_node::confine;

use crate::home::model::TINY;

/// Commands of the node's child processes.
#[derive(Debug, Subcommand)]
pub(crate) enum Engine {
    /// Load a model and carry out runs; the socket to the node is standard input
    Llama {
        /// The confinement of the process, as JSON
        #[arg(long)]
        confinement: Option<String>,
    },
    /// Print the devices of these backends as JSON
    Probe {
        /// A library to load
        #[arg(long = "backend")]
        backends: Vec<PathBuf>,
    },
    /// Print ggml's score of a backend on this processor as JSON
    Score {
        /// The library
        backend: PathBuf,
    },
    /// Compute with these backends and print the results as lines of JSON
    SelfTest {
        /// A library to load; without one, the backends that were built in
        #[arg(long = "backend")]
        backends: Vec<PathBuf>,
        /// A folder for the models to test with
        #[arg(long)]
        folder: PathBuf,
    },
    /// Compute the self-test's models without a backend and print the results as lines of JSON
    Reference,
}

impl Engine {
    /// Confines this process and runs the command.
    pub(crate) fn run(self) -> Result<()> {
        let confined = self.confine()?;
        // A worker's own threads compute; its I/O needs no more than one.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(self.run_confined(confined))?;
        // Tasks that still run in the background have nothing left to do.
        runtime.shutdown_background();
        Ok(())
    }

    /// Confines this process, before it starts a thread: most restrictions hold for the threads that start afterwards.
    /// The inner error says why the process is confined less than it could be.
    fn confine(&self) -> Result<Result<(), String>> {
        match self {
            Self::Llama { confinement: Some(confinement) } => {
                Ok(confine::apply(&serde_json::from_str(confinement)?))
            }
            _ => Ok(Ok(())),
        }
    }

    async fn run_confined(self, confined: Result<(), String>) -> Result<()> {
        // The models of the self-test have no vocabulary, of which llama.cpp warns each time.
        let is_test = matches!(self, Self::SelfTest { .. });
        hearth_telemetry::logs::to_supervisor(if is_test { "error" } else { "warn" })?;
        if let Err(reason) = confined {
            tracing::warn!(reason, "the worker is confined less than it could be");
        }
        match self {
            Self::Llama { .. } => Ok(hearth_node::engines::llama::run().await?),
            Self::Probe { backends } => {
                let probe =
                    hearth_node::engines::probe::list_devices(&backends).map_err(anyhow::Error::msg)?;
                println!("{}", serde_json::to_string(&probe)?);
                Ok(())
            }
            Self::Score { backend } => {
                println!("{}", hearth_node::backends::score(&backend).map_err(anyhow::Error::msg)?);
                Ok(())
            }
            Self::SelfTest { backends, folder } => {
                Ok(hearth_node::backends::self_test::run(&backends, &folder, TINY)?)
            }
            Self::Reference => Ok(hearth_node::backends::self_test::run_reference()?),
        }
    }
}
