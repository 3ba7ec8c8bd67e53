//! Health, readiness, version, metrics, and the API's documentation.

#![warn(missing_docs)]

mod routes;

use axum::{Router, routing::get};
use hearth_domain::Scope;
use hearth_http::{AppState, Routes, finish, serve::guarded};
use utoipa_axum::routes;

/// The OpenAPI document of all functions. It is generated from their routes by `cargo xtask openapi`
/// and checked in, so that one function can serve what no function alone knows.
pub const OPENAPI: &str = include_str!("../../../docs/openapi.json");

/// The routes, with their documentation.
pub fn routes(state: &AppState) -> Routes {
    let open = Routes::new()
        .routes(routes!(routes::health::health))
        .routes(routes!(routes::version::version))
        .routes(routes!(routes::openapi::openapi))
        .routes(routes!(routes::docs::page))
        .routes(routes!(routes::docs::file))
        .route("/", get(routes::docs::root))
        .route("/docs/", get(routes::docs::redirect_up));
    let guarded_routes =
        Routes::new().routes(routes!(routes::ready::ready)).routes(routes!(routes::metrics::metrics));
    open.merge(guarded(guarded_routes, state, Scope::Ops))
}

/// The function's router.
pub fn router(state: AppState) -> Router {
    finish(routes(&state), state)
}
