//! Engines. An engine runs inside a worker process; each loaded model has its own.

pub mod llama;
pub mod probe;
