//! `/v1/models`: listing, state, loading, unloading and removing of models; `/v1/providers`: providers and
//! their keys; `/v1/config`: the configuration of routing; `/v1/schemas` and `/v1/templates`: schemas of answers and
//! templates of prompts.

#![warn(missing_docs)]

mod routes;

use axum::{
    Router,
    routing::{delete, get, patch, post},
};
use hearth_domain::Action;
use hearth_http::{
    AppState, Routes, dialect, finish, routes,
    serve::{guarded, open},
};
use utoipa::OpenApi;

use routes::{
    configuration, hub, jobs, model_path, models, ollama, providers, registry, schema, schemas, templates,
};

/// Documentation of the routes below the wildcard that read.
#[derive(OpenApi)]
#[openapi(paths(models::loaded, models::get, models::status, schema::of_model, schema::versions))]
struct WildcardReads;

/// Documentation of the routes below the wildcard that load and unload.
#[derive(OpenApi)]
#[openapi(paths(models::load, models::unload))]
struct WildcardWrites;

/// Documentation of the routes below the wildcard that remove.
#[derive(OpenApi)]
#[openapi(paths(models::remove))]
struct WildcardRemovals;

/// Documentation of the routes below the wildcard that change the registry.
#[derive(OpenApi)]
#[openapi(paths(registry::change, schema::put))]
struct WildcardChanges;

/// Returns the routes, with their documentation.
pub fn routes(state: &AppState) -> Routes {
    let reads = Routes::with_documentation(WildcardReads::openapi)
        .routes(routes!(models::list))
        .routes(routes!(schema::get))
        .route(model_path::WILDCARD, get(models::read).fallback(model_path::wrong_method))
        .wildcard(model_path::WILDCARD, model_path::methods);
    let writes =
        Routes::with_documentation(WildcardWrites::openapi).route(model_path::WILDCARD, post(models::write));
    let removals = Routes::with_documentation(WildcardRemovals::openapi)
        .route(model_path::WILDCARD, delete(models::delete));
    let changes = Routes::with_documentation(WildcardChanges::openapi)
        .routes(routes!(registry::register))
        .route(model_path::WILDCARD, patch(registry::patch).put(schema::write));
    let downloads = Routes::new().routes(routes!(jobs::download)).routes(routes!(hub::search));
    let own_jobs = Routes::new()
        .routes(routes!(jobs::list, jobs::submit))
        .routes(routes!(jobs::get, jobs::cancel))
        .routes(routes!(jobs::result))
        .routes(routes!(jobs::pause))
        .routes(routes!(jobs::resume))
        .routes(routes!(jobs::retry))
        .routes(routes!(jobs::remove_dead));
    let job_pauses =
        Routes::new().routes(routes!(jobs::pauses)).routes(routes!(jobs::pause_kind, jobs::resume_kind));
    let provider_reads = Routes::new().routes(routes!(providers::list));
    // The address of a provider decides where its key is sent: the same permission changes both.
    let settings = Routes::new()
        .routes(routes!(providers::set_key, providers::remove_key))
        .routes(routes!(configuration::get, configuration::put))
        .routes(routes!(configuration::list))
        .routes(routes!(configuration::version))
        .routes(routes!(configuration::restore));
    let reads = dialect::with_client_error_format(guarded(reads, state, Action::ReadModels));
    let model_routes =
        dialect::redirect_gemini_clients(reads.merge(guarded(writes, state, Action::LoadModels)));
    let model_routes = model_routes
        .merge(dialect::with_client_error_format(guarded(provider_reads, state, Action::ReadProviders)))
        .merge(guarded(changes, state, Action::ManageModels))
        .merge(guarded(removals, state, Action::RemoveModels))
        .merge(guarded(downloads, state, Action::DownloadModels))
        .merge(guarded(own_jobs, state, Action::ManageJobs))
        .merge(guarded(job_pauses, state, Action::PauseJobs));
    model_routes
        .merge(guarded(settings, state, Action::ManageGateway))
        .merge(definitions(state))
        .merge(ollama_routes(state))
}

/// Returns the routes of schemas and templates.
fn definitions(state: &AppState) -> Routes {
    let reads = Routes::new()
        .routes(routes!(schemas::list))
        .routes(routes!(schemas::get))
        .routes(routes!(schemas::versions))
        .routes(routes!(schemas::diff))
        .routes(routes!(schemas::check))
        .routes(routes!(templates::list))
        .routes(routes!(templates::get))
        .routes(routes!(templates::versions))
        .routes(routes!(templates::diff))
        .routes(routes!(templates::check))
        .routes(routes!(templates::render));
    let changes = Routes::new()
        .routes(routes!(schemas::create))
        .routes(routes!(schemas::update, schemas::change, schemas::delete))
        .routes(routes!(schemas::move_label, schemas::remove_label))
        .routes(routes!(templates::create))
        .routes(routes!(templates::update, templates::change, templates::delete))
        .routes(routes!(templates::move_label, templates::remove_label));
    guarded(reads, state, Action::ReadDefinitions).merge(guarded(changes, state, Action::ManageDefinitions))
}

/// Returns the routes of Ollama's dialect. Its version needs no token: clients read it before they have one.
fn ollama_routes(state: &AppState) -> Routes {
    let reads = Routes::new()
        .routes(routes!(ollama::tags))
        .routes(routes!(ollama::show))
        .routes(routes!(ollama::ps))
        .routes(routes!(ollama::pull));
    let writes = Routes::new().routes(routes!(ollama::delete));
    let version = Routes::new().routes(routes!(ollama::version));
    let guarded_routes =
        guarded(reads, state, Action::ReadModels).merge(guarded(writes, state, Action::RemoveModels));
    dialect::ollama(
        guarded_routes.merge(open(version, "clients read the version before they have a credential")),
    )
}

/// Returns the function's router.
pub fn router(state: AppState) -> Router {
    finish(routes(&state), state)
}
