//! The native dialect.

pub mod generate;
pub mod models;
pub mod render;
pub mod requests;
pub mod tokens;
