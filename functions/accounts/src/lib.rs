//! `/v1/users`: API tokens.

#![warn(missing_docs)]

mod routes;

use axum::Router;
use hearth_domain::Scope;
use hearth_http::{AppState, Routes, finish, serve::guarded};
use utoipa_axum::routes;

/// The routes, with their documentation.
pub fn routes(state: &AppState) -> Routes {
    let routes = Routes::new()
        .routes(routes!(routes::token_create::create, routes::token_list::list))
        .routes(routes!(routes::token_revoke::revoke));
    guarded(routes, state, Scope::Tokens)
}

/// The function's router.
pub fn router(state: AppState) -> Router {
    finish(routes(&state), state)
}
