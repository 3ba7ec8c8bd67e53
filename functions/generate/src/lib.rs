//! `/v1/generate` and the compatible dialects, which generate text, vectors, images and meshes; `/v1/requests`,
//! `/v1/artifacts` and `/v1/cache`.

#![warn(missing_docs)]

mod references;
mod routes;
mod run_headers;
mod run_request;
mod several;

use axum::{
    Router,
    routing::{get, post},
};
use hearth_domain::Scope;
use hearth_http::{AppState, Routes, dialect, finish, routes, serve::guarded};
use utoipa::OpenApi;

/// Returns the routes, with their documentation.
pub fn routes(state: &AppState) -> Routes {
    let routes = Routes::new()
        .routes(routes!(routes::generate::generate))
        .routes(routes!(routes::chat_completions::chat_completions))
        .routes(routes!(routes::completions::completions))
        .routes(routes!(routes::responses::responses))
        .routes(routes!(routes::responses::get, routes::responses::delete))
        .routes(routes!(routes::embeddings::embeddings))
        .routes(routes!(routes::images::images))
        .routes(routes!(routes::images::edits))
        .routes(routes!(routes::route::route))
        .routes(routes!(routes::requests::get, routes::requests::delete))
        .routes(routes!(routes::requests::status))
        .routes(routes!(routes::requests::events))
        .routes(routes!(routes::requests::cancel))
        .routes(routes!(routes::cache::delete));
    // The statistics include the requests of all users.
    let stats = Routes::new().routes(routes!(routes::cache::stats));
    // A signed link to an artifact needs no token: the handler checks the one or the other.
    let open = Routes::new().routes(routes!(routes::artifact::get));
    let stats = guarded(stats, state, Scope::Ops);
    guarded(routes, state, Scope::Generate)
        .merge(stats)
        .merge(anthropic(state))
        .merge(ollama(state))
        .merge(gemini(state))
        .merge(open)
}

/// Returns the routes of Anthropic's dialect, whose errors have a format of their own.
fn anthropic(state: &AppState) -> Routes {
    let routes = Routes::new()
        .routes(routes!(routes::messages::messages))
        .routes(routes!(routes::messages::count_tokens));
    dialect::anthropic(guarded(routes, state, Scope::Generate))
}

/// Returns the routes of Ollama's dialect, whose errors have a format of their own.
fn ollama(state: &AppState) -> Routes {
    let routes = Routes::new()
        .routes(routes!(routes::ollama::chat::chat))
        .routes(routes!(routes::ollama::generate::generate))
        .routes(routes!(routes::ollama::embed::embed))
        .routes(routes!(routes::ollama::embeddings::embeddings));
    dialect::ollama(guarded(routes, state, Scope::Generate))
}

/// Documentation of the routes of Gemini's dialect below the wildcard.
#[derive(OpenApi)]
#[openapi(paths(
    routes::gemini_generate_content::generate,
    routes::gemini_generate_content::stream,
    routes::gemini_count_tokens::count_tokens,
    routes::gemini_embed_content::embed,
    routes::gemini_embed_content::embed_all,
    routes::gemini_models::model
))]
struct GeminiWildcard;

/// Returns the routes of Gemini's dialect, whose errors have a format of their own.
fn gemini(state: &AppState) -> Routes {
    let reads = Routes::with_documentation(GeminiWildcard::openapi)
        .routes(routes!(routes::gemini_models::list))
        .route("/v1beta/models/{*path}", get(routes::gemini::read));
    let generates = Routes::new().route("/v1beta/models/{*path}", post(routes::gemini::act));
    let routes = guarded(reads, state, Scope::ModelsRead).merge(guarded(generates, state, Scope::Generate));
    dialect::gemini(routes)
}

/// Returns the function's router.
pub fn router(state: AppState) -> Router {
    finish(routes(&state), state)
}
