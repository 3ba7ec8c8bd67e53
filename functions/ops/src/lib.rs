//! Health, readiness, version, metrics, and the API's documentation.

#![warn(missing_docs)]

mod routes;

use axum::{Router, routing::get};
use hearth_domain::Action;
use hearth_http::{
    AppState, Routes, finish, routes,
    serve::{guarded, guarded_by_handler, open},
};

use routes::{docs, probes};

/// OpenAPI document of all functions. `cargo xtask openapi` generates the file from the routes, so that one function can
/// serve the documentation of the others.
pub const OPENAPI: &str = include_str!("../../../docs/openapi.json");

/// Returns the routes, with their documentation.
pub fn routes(state: &AppState) -> Routes {
    let probes = Routes::new().routes(routes!(probes::health)).routes(routes!(probes::version));
    let ready = Routes::new().routes(routes!(probes::ready));
    let ready = guarded_by_handler(
        ready,
        Action::Operate,
        "with the setting `public_readiness` a probe without a credential gets the status alone",
    );
    let docs = Routes::new()
        .routes(routes!(docs::openapi))
        .routes(routes!(docs::page))
        .routes(routes!(docs::file))
        .route("/", get(docs::root))
        .route("/docs/", get(docs::redirect_up));
    let guarded_routes = Routes::new().routes(routes!(probes::metrics));
    let public =
        open(probes, "load balancers and clients ask without a credential, and learn that the process answers, and its version")
            .merge(open(docs, "the documentation is the same for everybody"));
    public.merge(ready).merge(guarded(guarded_routes, state, Action::Operate))
}

/// Returns the function's router.
pub fn router(state: AppState) -> Router {
    finish(routes(&state), state)
}
