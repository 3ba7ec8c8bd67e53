//! Engines. An engine runs inside a worker process; each loaded model has its own. [`table`] has them all; [`llama`] is the
//! one that is part of this crate.

pub mod llama;
pub mod probe;
pub mod table;
