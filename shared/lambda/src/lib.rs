//! Entry points of the Lambda functions: settings from the environment, stores of AWS, and Lambda's runtime around a
//! function's router.
//!
//! A function is streaming or buffered, never both: API Gateway's integration calls it one way or the other.

#![warn(missing_docs)]

mod public_url;

use axum::Router;
use hearth_gateway::{Gateway, HttpClients, Options, Routing};
use hearth_http::AppState;
use hearth_settings::CloudSettings;
use hearth_store::{Clients, Names, Store};
use tower::ServiceExt as _;

use public_url::with_public_url;

/// Error that ends a function at its start.
pub type Error = lambda_runtime::Error;

/// Serves routes whose responses are buffered.
///
/// # Errors
/// If a setting is missing or invalid, or the runtime fails.
pub async fn run_buffered(router: impl FnOnce(AppState) -> Router) -> Result<(), Error> {
    lambda_http::run(router(state().await?).map_request(with_public_url)).await
}

/// Serves routes whose responses are streamed.
///
/// # Errors
/// If a setting is missing or invalid, or the runtime fails.
pub async fn run_streaming(router: impl FnOnce(AppState) -> Router) -> Result<(), Error> {
    lambda_http::run_with_streaming_response(router(state().await?).map_request(with_public_url)).await
}

async fn state() -> Result<AppState, Error> {
    let cloud = CloudSettings::from_process()?;
    let routing = Routing::new(&cloud.settings).map_err(|error| cloud.layers.locate(&error.to_string()))?;
    hearth_telemetry::logs::to_stderr(&cloud.settings.log_level)?;
    hearth_telemetry::metrics::install();
    // reqwest takes whichever provider is installed; there is one in the process.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let settings = cloud.settings.gateway();
    let names = Names {
        table: cloud.table,
        bucket: cloud.bucket,
        secret: cloud.secret,
        provider_keys: cloud.provider_keys,
    };
    let store = Store::new(Clients::from_environment().await, names);
    let options =
        Options { private_nodes: cloud.allow_private_nodes, long_lived: false, new_secret: None, settings };
    Ok(AppState { gateway: Gateway::new(store, HttpClients::new()?, options, routing) })
}
