//! Engines: each is what runs inside a worker process, one process per loaded model.

pub mod llama;
pub mod probe;
