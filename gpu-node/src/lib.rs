//! The node: a long-running service on a box that a person owns.
//!
//! ```text
//! link (server) -> supervisor -> scheduler -> worker process (engines) -> run log -> link
//! ```
//!
//! - [`catalog`] knows the model files, [`gguf`] reads their headers, and [`memory`] predicts from these
//!   what a model will take; [`context`] says from that how much a run may have.
//! - [`storage`] keeps the model folder within its limits.
//! - [`backends`] chooses what computes, by self-tests in child processes.
//! - [`scheduler`] decides, purely, which run goes where and what is in memory.
//! - [`supervisor`] keeps one worker process per loaded model, and each run's log.
//! - [`frames`] is what supervisor and worker say to each other, [`engines`] the worker's inside.
//! - [`confine`] bounds what a worker process may do.
//! - [`server`] is the link's HTTP side.

#![warn(missing_docs)]

pub mod backends;
pub mod catalog;
pub mod config;
pub mod confine;
pub mod context;
pub mod engines;
pub mod frames;
pub mod gguf;
pub mod memory;
pub mod scheduler;
pub mod server;
pub mod storage;
pub mod supervisor;

pub use config::NodeConfig;
pub use supervisor::Node;
