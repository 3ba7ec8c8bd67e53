//! `/v1/models`: what there is, what it is doing, loading, unloading and removing; `/v1/providers`: who else is asked.
//!
//! A model's id may hold slashes, raw or as `%2F`, so one wildcard takes all that lies below
//! `/v1/models`, and [`path`] tells the routes apart by how they end.

#![warn(missing_docs)]

mod path;
mod routes;

use axum::{
    Router,
    routing::{get, post},
};
use hearth_domain::Scope;
use hearth_http::{AppState, Routes, dialect, finish, serve::guarded};
use utoipa::OpenApi;
use utoipa_axum::routes;

/// The routes below the wildcard, for the documentation alone.
#[derive(OpenApi)]
#[openapi(paths(
    routes::loaded::loaded,
    routes::get::model,
    routes::remove::remove,
    routes::status::status,
    routes::load::load,
    routes::unload::unload
))]
struct Wildcard;

/// The routes, with their documentation.
pub fn routes(state: &AppState) -> Routes {
    let reads = Routes::with_openapi(Wildcard::openapi())
        .routes(routes!(routes::list::list))
        .routes(routes!(routes::provider_list::list))
        .route("/v1/models/{*path}", get(path::read).fallback(path::wrong_method));
    let writes = Routes::new().route("/v1/models/{*path}", post(path::write).delete(path::remove));
    let keys =
        Routes::new().routes(routes!(routes::provider_key_set::set, routes::provider_key_remove::remove));
    let reads = dialect::as_asked(guarded(reads, state, Scope::ModelsRead));
    let models = dialect::with_geminis_models(reads.merge(guarded(writes, state, Scope::ModelsWrite)));
    models.merge(guarded(keys, state, Scope::Providers)).merge(ollama(state))
}

/// Those of Ollama's dialect, whose errors have a shape of their own. Its version is open: clients look for it before
/// they are given a token.
fn ollama(state: &AppState) -> Routes {
    use routes::ollama::{delete, ps, pull, show, tags, version};

    let reads = Routes::new()
        .routes(routes!(tags::tags))
        .routes(routes!(show::show))
        .routes(routes!(ps::ps))
        .routes(routes!(pull::pull));
    let writes = Routes::new().routes(routes!(delete::delete));
    let open = Routes::new().routes(routes!(version::version));
    let guarded_routes =
        guarded(reads, state, Scope::ModelsRead).merge(guarded(writes, state, Scope::ModelsWrite));
    dialect::ollama(guarded_routes.merge(open))
}

/// The function's router.
pub fn router(state: AppState) -> Router {
    finish(routes(&state), state)
}
