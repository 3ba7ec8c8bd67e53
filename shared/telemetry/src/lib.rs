//! Logs and metrics. Neither contains a prompt, an output or a secret: each log statement names its fields, and nothing
//! logs bodies or headers.

#![warn(missing_docs)]

mod json_lines;
mod log_buffer;
mod log_files;
pub mod logs;
pub mod metrics;
