//! Logs and metrics. Neither ever holds a prompt, an output or a secret: what is logged is chosen
//! where it is logged, and nothing logs bodies or headers.

#![warn(missing_docs)]

mod json_lines;
mod log_buffer;
mod log_files;
pub mod logs;
pub mod metrics;
