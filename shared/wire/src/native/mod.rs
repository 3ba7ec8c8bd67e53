//! The native API.

pub mod artifacts;
pub mod cache;
pub mod configuration;
pub mod generate;
pub mod input;
mod media;
pub mod models;
pub mod output;
pub mod providers;
pub mod render;
pub mod request;
pub mod requests;
pub mod route;
pub mod tokens;
