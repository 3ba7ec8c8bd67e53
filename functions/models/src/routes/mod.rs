//! Handlers, one file per resource.

pub(crate) mod configuration;
mod definitions;
pub(crate) mod hub;
pub(crate) mod jobs;
pub(crate) mod model_path;
pub(crate) mod models;
pub(crate) mod ollama;
mod ollama_pull;
pub(crate) mod providers;
pub(crate) mod registry;
pub(crate) mod schema;
pub(crate) mod schemas;
pub(crate) mod templates;
