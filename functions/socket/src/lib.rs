//! Sockets of nodes and clients.
//!
//! At home the process accepts them itself: `upgrade` admits one, `session` carries its messages, and `subscriptions` has what its
//! client subscribes to. In the cloud API Gateway accepts them, and the Lambda function handles an event for each message.

#![warn(missing_docs)]

mod error_message;
#[cfg(feature = "lambda")]
pub mod events;
mod session;
mod subscriptions;
mod upgrade;

use axum::Router;
use hearth_domain::Action;
use hearth_http::{AppState, Routes, finish, routes, serve::guarded_by_handler};

/// Returns the routes, with their documentation.
pub fn routes(_state: &AppState) -> Routes {
    let upgrade = Routes::new().routes(routes!(upgrade::open));
    guarded_by_handler(upgrade, Action::ReadModels, "a node's signature takes the place of a token")
}

/// Returns the function's router.
pub fn router(state: AppState) -> Router {
    finish(routes(&state), state)
}
