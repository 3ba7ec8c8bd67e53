//! The node: a service that runs models on a machine of the operator.
//!
//! ```text
//! link (server) -> supervisor -> scheduler -> worker process (engines) -> run log -> link
//! ```
//!
//! - [`model_files`] finds the model files, [`gguf`] reads their headers, [`memory`] predicts the memory of a model, and
//!   [`context`] computes its context length.
//! - [`storage`] keeps the model folder within its limits.
//! - [`downloads`] downloads models into the folder.
//! - [`backends`] selects the compute backends, by self-tests in child processes.
//! - [`scheduler`] decides which run goes to which worker, and which models are in memory.
//! - [`supervisor`] controls a worker process for each loaded model, and has the log of each run.
//! - [`frames`] is the protocol between supervisor and worker, and [`confine`] the sandbox of a worker process; both are of
//!   the crate `hearth-worker`, which every engine uses. [`engines`] has the table of engines, and llama.cpp's.
//! - [`wake`] wakes other machines in the network.
//! - [`server`] serves the node link over HTTP, and [`link`] connects an enrolled node to its gateway.

#![warn(missing_docs)]

pub mod backends;
pub mod config;
pub mod context;
pub mod downloads;
pub mod engines;
pub mod gguf;
pub mod link;
pub mod memory;
pub mod model_files;
pub mod scheduler;
pub mod server;
pub mod storage;
pub mod supervisor;
pub mod wake;

pub use config::NodeConfig;
pub use hearth_worker::{confine, frames};
pub use supervisor::Node;
