//! The entry points on Lambda. A function is streaming or buffered, never both: that is how API
//! Gateway's integration calls it.

use axum::Router;
use hearth_gateway::{Gateway, HttpClients, Options};
use hearth_store::{Clients, Store};

use crate::{AppState, config::FunctionConfig};

/// A function's own error at start.
pub type Error = lambda_http::Error;

/// Serves routes whose answers are whole.
///
/// # Errors
/// If the environment isn't complete, or the runtime fails.
pub async fn run_buffered(router: impl FnOnce(AppState) -> Router) -> Result<(), Error> {
    lambda_http::run(router(state().await?)).await
}

/// Serves routes whose answers are streamed as they come.
///
/// # Errors
/// If the environment isn't complete, or the runtime fails.
pub async fn run_streaming(router: impl FnOnce(AppState) -> Router) -> Result<(), Error> {
    lambda_http::run_with_streaming_response(router(state().await?)).await
}

async fn state() -> Result<AppState, Error> {
    let config = FunctionConfig::from_process()?;
    hearth_telemetry::logs::to_stderr(&config.log_level)?;
    hearth_telemetry::metrics::install();
    // reqwest takes whichever provider is installed; there is one in the process.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let store = Store::new(Clients::from_environment().await, config.names);
    let options = Options {
        private_nodes: config.private_nodes,
        long_lived: false,
        artifact_links: config.artifact_links,
        answer_max_bytes: config.answer_max_bytes,
        new_secret: None,
        cache: config.cache,
    };
    Ok(AppState { gateway: Gateway::new(store, HttpClients::new()?, options, config.routing) })
}
