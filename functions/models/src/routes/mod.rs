//! Handlers, one file per resource.

pub(crate) mod configuration;
pub(crate) mod models;
pub(crate) mod ollama;
pub(crate) mod providers;
