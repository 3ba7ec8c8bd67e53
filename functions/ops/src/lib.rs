//! Health, readiness, version, metrics, and the API's documentation.

#![warn(missing_docs)]

mod routes;

use axum::{Router, routing::get};
use hearth_domain::Scope;
use hearth_http::{AppState, Routes, finish, routes, serve::guarded};

use routes::{docs, probes};

/// OpenAPI document of all functions. `cargo xtask openapi` generates the file from the routes, so that one function can
/// serve the documentation of the others.
pub const OPENAPI: &str = include_str!("../../../docs/openapi.json");

/// Returns the routes, with their documentation.
pub fn routes(state: &AppState) -> Routes {
    let open = Routes::new()
        .routes(routes!(probes::health))
        .routes(routes!(probes::ready))
        .routes(routes!(probes::version))
        .routes(routes!(docs::openapi))
        .routes(routes!(docs::page))
        .routes(routes!(docs::file))
        .route("/", get(docs::root))
        .route("/docs/", get(docs::redirect_up));
    let guarded_routes = Routes::new().routes(routes!(probes::metrics));
    open.merge(guarded(guarded_routes, state, Scope::Ops))
}

/// Returns the function's router.
pub fn router(state: AppState) -> Router {
    finish(routes(&state), state)
}
