//! `/v1/generate`, `/v1/analyze` and the compatible dialects, which generate text, vectors, images and meshes; `/v1/requests`,
//! `/v1/files`, `/v1/artifacts` and `/v1/cache`.

#![warn(missing_docs)]

mod conversation_turn;
mod responses_socket;
mod routes;
mod run_headers;
mod run_request;
mod session_turn;
mod several;

use axum::{
    Router,
    routing::{get, post},
};
use hearth_domain::Action;
use hearth_http::{
    AppState, Routes, dialect, finish, routes,
    serve::{guarded, guarded_by_handler, open},
};
use utoipa::OpenApi;

/// Returns the routes, with their documentation.
pub fn routes(state: &AppState) -> Routes {
    let routes = Routes::new()
        .routes(routes!(routes::generate::generate))
        .routes(routes!(routes::analyze::analyze))
        .routes(routes!(routes::analyze::analyze_batch))
        .routes(routes!(routes::chat_completions::chat_completions))
        .routes(routes!(routes::completions::completions))
        .routes(routes!(routes::responses::open_socket, routes::responses::responses))
        .routes(routes!(routes::responses::get, routes::responses::delete))
        .routes(routes!(routes::responses::list_input_items))
        .routes(routes!(routes::responses::cancel))
        .routes(routes!(routes::embeddings::embeddings))
        .routes(routes!(routes::images::images))
        .routes(routes!(routes::images::edits))
        .routes(routes!(routes::route::route))
        .routes(routes!(routes::requests::list))
        .routes(routes!(routes::requests::get, routes::requests::delete))
        .routes(routes!(routes::requests::replay))
        .routes(routes!(routes::requests::status))
        .routes(routes!(routes::requests::events))
        .routes(routes!(routes::requests::cancel));
    let cache = Routes::new().routes(routes!(routes::cache::delete));
    let records = Routes::new().routes(routes!(routes::requests::delete_record));
    let keys = Routes::new().routes(routes!(routes::provider_keys::verify));
    let export = Routes::new().routes(routes!(routes::export::export));
    // The statistics include the requests of all users.
    let stats = Routes::new().routes(routes!(routes::cache::stats));
    let artifacts = Routes::new().routes(routes!(routes::artifact::get));
    let artifacts =
        guarded_by_handler(artifacts, Action::Generate, "a signed link needs no credential until it ends");
    let files = Routes::new()
        .routes(routes!(routes::files::upload, routes::files::list))
        .routes(routes!(routes::files::get, routes::files::delete))
        .routes(routes!(routes::files::content))
        .routes(routes!(routes::uploads::create))
        .routes(routes!(routes::uploads::complete))
        .routes(routes!(routes::uploads::cancel))
        .routes(routes!(routes::upload_parts::create, routes::upload_parts::list))
        .routes(routes!(routes::upload_parts::add))
        .routes(routes!(routes::upload_parts::complete))
        .routes(routes!(routes::upload_parts::cancel))
        .routes(routes!(routes::artifact::list))
        .routes(routes!(routes::artifact::delete));
    let upload = Routes::new().routes(routes!(routes::uploads::put));
    let stats = guarded(stats, state, Action::Operate);
    guarded(routes, state, Action::Generate)
        .merge(guarded(cache, state, Action::DeleteCached))
        .merge(guarded(records, state, Action::DeleteRequests))
        .merge(guarded(conversations(), state, Action::ManageSessions))
        .merge(guarded(sessions(), state, Action::ManageSessions))
        .merge(guarded(keys, state, Action::ManageKeys))
        .merge(guarded(export, state, Action::ManageAccount))
        .merge(stats)
        .merge(anthropic(state))
        .merge(ollama(state))
        .merge(gemini(state))
        .merge(artifacts)
        .merge(guarded(files, state, Action::ManageFiles))
        .merge(guarded(batches(), state, Action::ManageFiles))
        .merge(open(upload, "the URL has a signature, which ends after an hour"))
}

/// Returns the routes that manage sessions.
fn sessions() -> Routes {
    Routes::new()
        .routes(routes!(routes::session_management::create, routes::session_management::list))
        .routes(routes!(routes::session_files::search))
        .routes(routes!(routes::session_files::import))
        .routes(routes!(
            routes::session_management::get,
            routes::session_management::change,
            routes::session_management::close
        ))
        .routes(routes!(routes::session_management::reset))
        .routes(routes!(routes::session_management::archive))
        .routes(routes!(routes::session_files::export))
        .routes(routes!(routes::session_messages::list))
        .routes(routes!(
            routes::session_messages::get,
            routes::session_messages::change,
            routes::session_messages::delete
        ))
        .routes(routes!(routes::session_messages::list_branches, routes::session_messages::create_branch))
        .routes(routes!(routes::session_messages::delete_branch))
        .routes(routes!(routes::session_messages::switch))
}

/// Returns the routes of turns, and of OpenAI's conversations. An access key may take neither.
fn conversations() -> Routes {
    Routes::new()
        .routes(routes!(routes::sessions::generate))
        .routes(routes!(routes::sessions::regenerate))
        .routes(routes!(routes::conversations::create))
        .routes(routes!(
            routes::conversations::get,
            routes::conversations::update,
            routes::conversations::delete
        ))
        .routes(routes!(routes::conversations::list_items, routes::conversations::create_items))
        .routes(routes!(routes::conversations::get_item, routes::conversations::delete_item))
}

/// Returns the routes of Anthropic's dialect, whose errors have a format of their own.
fn anthropic(state: &AppState) -> Routes {
    let routes = Routes::new()
        .routes(routes!(routes::messages::messages))
        .routes(routes!(routes::messages::count_tokens));
    let batches = Routes::new()
        .routes(routes!(routes::message_batches::create, routes::message_batches::list))
        .routes(routes!(routes::message_batches::get, routes::message_batches::delete))
        .routes(routes!(routes::message_batches::cancel))
        .routes(routes!(routes::message_batches::results));
    let batches = guarded(batches, state, Action::ManageFiles);
    dialect::anthropic(guarded(routes, state, Action::Generate).merge(batches))
}

/// Returns the routes of OpenAI's batches.
fn batches() -> Routes {
    Routes::new()
        .routes(routes!(routes::batches::create, routes::batches::list))
        .routes(routes!(routes::batches::get))
        .routes(routes!(routes::batches::cancel))
}

/// Returns the routes of Ollama's dialect, whose errors have a format of their own.
fn ollama(state: &AppState) -> Routes {
    let routes = Routes::new()
        .routes(routes!(routes::ollama::chat::chat))
        .routes(routes!(routes::ollama::generate::generate))
        .routes(routes!(routes::ollama::embed::embed))
        .routes(routes!(routes::ollama::embeddings::embeddings));
    dialect::ollama(guarded(routes, state, Action::Generate))
}

/// Documentation of the routes of Gemini's dialect below the wildcard that generate.
#[derive(OpenApi)]
#[openapi(paths(
    routes::gemini_generate_content::generate,
    routes::gemini_generate_content::stream,
    routes::gemini_count_tokens::count_tokens,
    routes::gemini_embed_content::embed,
    routes::gemini_embed_content::embed_all
))]
struct GeminiActs;

/// Documentation of the routes of Gemini's dialect below the wildcard that read.
#[derive(OpenApi)]
#[openapi(paths(routes::gemini_models::model))]
struct GeminiReads;

/// Returns the routes of Gemini's dialect, whose errors have a format of their own.
fn gemini(state: &AppState) -> Routes {
    let reads = Routes::with_documentation(GeminiReads::openapi)
        .routes(routes!(routes::gemini_models::list))
        .route(routes::gemini::WILDCARD, get(routes::gemini::read).fallback(routes::gemini::wrong_method))
        .wildcard(routes::gemini::WILDCARD, routes::gemini::methods);
    let generates = Routes::with_documentation(GeminiActs::openapi)
        .route(routes::gemini::WILDCARD, post(routes::gemini::act));
    let routes = guarded(reads, state, Action::ReadModels).merge(guarded(generates, state, Action::Generate));
    dialect::gemini(routes)
}

/// Returns the function's router.
pub fn router(state: AppState) -> Router {
    finish(routes(&state), state)
}
