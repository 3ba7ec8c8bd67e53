//! `/v1/models`: listing, state, loading, unloading and removing of models; `/v1/providers`: providers and
//! their keys; `/v1/config`: the configuration of routing.

#![warn(missing_docs)]

mod routes;

use axum::{
    Router,
    routing::{get, post},
};
use hearth_domain::Scope;
use hearth_http::{AppState, Routes, dialect, finish, routes, serve::guarded};
use utoipa::OpenApi;

use routes::{configuration, models, ollama, providers};

/// Documentation of the routes below the wildcard.
#[derive(OpenApi)]
#[openapi(paths(models::loaded, models::get, models::remove, models::status, models::load, models::unload))]
struct Wildcard;

/// Returns the routes, with their documentation.
pub fn routes(state: &AppState) -> Routes {
    let reads = Routes::with_documentation(Wildcard::openapi)
        .routes(routes!(models::list))
        .routes(routes!(providers::list))
        .route("/v1/models/{*path}", get(models::read).fallback(models::wrong_method));
    let writes = Routes::new().route("/v1/models/{*path}", post(models::write).delete(models::delete));
    // The address of a provider decides where its key is sent: the same scope changes both.
    let settings = Routes::new()
        .routes(routes!(providers::set_key, providers::remove_key))
        .routes(routes!(configuration::get, configuration::put))
        .routes(routes!(configuration::list))
        .routes(routes!(configuration::version))
        .routes(routes!(configuration::restore));
    let reads = dialect::with_client_error_format(guarded(reads, state, Scope::ModelsRead));
    let model_routes =
        dialect::redirect_gemini_clients(reads.merge(guarded(writes, state, Scope::ModelsWrite)));
    model_routes.merge(guarded(settings, state, Scope::Providers)).merge(ollama_routes(state))
}

/// Returns the routes of Ollama's dialect. Its version needs no token: clients read it before they have one.
fn ollama_routes(state: &AppState) -> Routes {
    let reads = Routes::new()
        .routes(routes!(ollama::tags))
        .routes(routes!(ollama::show))
        .routes(routes!(ollama::ps))
        .routes(routes!(ollama::pull));
    let writes = Routes::new().routes(routes!(ollama::delete));
    let open = Routes::new().routes(routes!(ollama::version));
    let guarded_routes =
        guarded(reads, state, Scope::ModelsRead).merge(guarded(writes, state, Scope::ModelsWrite));
    dialect::ollama(guarded_routes.merge(open))
}

/// Returns the function's router.
pub fn router(state: AppState) -> Router {
    finish(routes(&state), state)
}
