//! `/v1/users`: API tokens.

#![warn(missing_docs)]

mod routes;

use axum::Router;
use hearth_domain::Scope;
use hearth_http::{AppState, Routes, finish, routes, serve::guarded};

use routes::tokens;

/// Returns the routes, with their documentation.
pub fn routes(state: &AppState) -> Routes {
    let routes = Routes::new().routes(routes!(tokens::create, tokens::list)).routes(routes!(tokens::revoke));
    guarded(routes, state, Scope::Tokens)
}

/// Returns the function's router.
pub fn router(state: AppState) -> Router {
    finish(routes(&state), state)
}
