//! The native dialect.

pub mod artifacts;
pub mod cache;
pub mod fallback;
pub mod generate;
pub mod input;
mod media;
pub mod models;
pub mod output;
pub mod providers;
pub mod render;
pub mod requests;
pub mod route;
pub mod tokens;
