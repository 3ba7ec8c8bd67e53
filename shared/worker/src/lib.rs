//! The seam between the node and its engines: an engine runs in a worker process, one for each loaded model.
//!
//! - [`frames`] is the protocol between the node's supervisor and a worker.
//! - [`socket`] is the worker's end of the socket.
//! - [`confine`] is the sandbox in which a worker runs.
//! - [`gguf`] and [`checkpoint`] read the headers of model files.
//!
//! The crate has no engine in it, so that an engine's program links its own libraries only.

#![warn(missing_docs)]

pub mod checkpoint;
pub mod confine;
pub mod frames;
pub mod gguf;
pub mod socket;
