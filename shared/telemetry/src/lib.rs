//! Logs, metrics and traces. None contains a prompt, an output or a secret: each log statement names its fields, and nothing
//! logs bodies or headers.

#![warn(missing_docs)]

mod emf;
mod json_lines;
mod log_buffer;
mod log_files;
pub mod logs;
pub mod metrics;
pub mod traces;
