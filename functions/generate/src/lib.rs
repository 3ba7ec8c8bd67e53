//! `/v1/generate`, the compatible dialects, `/v1/requests`, `/v1/artifacts` and `/v1/cache`: what makes text,
//! vectors, images and meshes, what became of it, and what is kept of it.

#![warn(missing_docs)]

mod asker;
mod references;
mod routes;
mod several;

use axum::{
    Router,
    routing::{get, post},
};
use hearth_domain::Scope;
use hearth_http::{AppState, Routes, dialect, finish, serve::guarded};
use utoipa::OpenApi;
use utoipa_axum::routes;

/// The routes, with their documentation.
pub fn routes(state: &AppState) -> Routes {
    let routes = Routes::new()
        .routes(routes!(routes::generate::generate))
        .routes(routes!(routes::chat_completions::chat_completions))
        .routes(routes!(routes::completions::completions))
        .routes(routes!(routes::responses::responses))
        .routes(routes!(routes::response::get, routes::response::delete))
        .routes(routes!(routes::embeddings::embeddings))
        .routes(routes!(routes::images::images))
        .routes(routes!(routes::image_edits::edits))
        .routes(routes!(routes::route::route))
        .routes(routes!(routes::request_get::get, routes::request_cancel::delete))
        .routes(routes!(routes::request_get::status))
        .routes(routes!(routes::request_events::events))
        .routes(routes!(routes::request_cancel::cancel))
        .routes(routes!(routes::cache_delete::delete));
    // It tells of every user's requests.
    let stats = Routes::new().routes(routes!(routes::cache_stats::stats));
    // A link to an artifact needs no token: the route looks by itself.
    let open = Routes::new().routes(routes!(routes::artifact::get));
    let stats = guarded(stats, state, Scope::Ops);
    guarded(routes, state, Scope::Generate)
        .merge(stats)
        .merge(anthropic(state))
        .merge(ollama(state))
        .merge(gemini(state))
        .merge(open)
}

/// Those of the Anthropic dialect, whose errors have a shape of their own.
fn anthropic(state: &AppState) -> Routes {
    let routes = Routes::new()
        .routes(routes!(routes::messages::messages))
        .routes(routes!(routes::messages_count_tokens::count_tokens));
    dialect::anthropic(guarded(routes, state, Scope::Generate))
}

/// Those of Ollama's dialect, whose errors have a shape of their own too.
fn ollama(state: &AppState) -> Routes {
    let routes = Routes::new()
        .routes(routes!(routes::ollama::chat::chat))
        .routes(routes!(routes::ollama::generate::generate))
        .routes(routes!(routes::ollama::embed::embed))
        .routes(routes!(routes::ollama::embeddings::embeddings));
    dialect::ollama(guarded(routes, state, Scope::Generate))
}

/// Those of the Gemini dialect below the wildcard, for the documentation alone.
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

/// Those of the Gemini dialect, whose errors have a shape of their own.
fn gemini(state: &AppState) -> Routes {
    let reads = Routes::with_openapi(GeminiWildcard::openapi())
        .routes(routes!(routes::gemini_models::list))
        .route("/v1beta/models/{*path}", get(routes::gemini::read));
    let generates = Routes::new().route("/v1beta/models/{*path}", post(routes::gemini::act));
    let routes = guarded(reads, state, Scope::ModelsRead).merge(guarded(generates, state, Scope::Generate));
    dialect::gemini(routes)
}

/// The function's router.
pub fn router(state: AppState) -> Router {
    finish(routes(&state), state)
}
