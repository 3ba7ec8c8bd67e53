//! Nodes: enrolled, listed and changed by their owners, and the requests of the nodes themselves.

#![warn(missing_docs)]

mod routes;

use axum::Router;
use hearth_domain::Action;
use hearth_http::{
    AppState, Routes, finish, routes,
    serve::{audited, guarded, of_nodes, open},
};

use routes::{enrolment, nodes, relay, wake};

/// Returns the routes, with their documentation.
pub fn routes(state: &AppState) -> Routes {
    people_routes(state).merge(node_routes(state))
}

/// Routes of the people who own and use nodes.
fn people_routes(state: &AppState) -> Routes {
    let read = Routes::new().routes(routes!(nodes::list)).routes(routes!(nodes::get));
    let manage = Routes::new()
        .routes(routes!(nodes::change, nodes::revoke))
        .routes(routes!(wake::wake))
        .routes(routes!(enrolment::create_code));
    let enroll = Routes::new().routes(routes!(enrolment::enroll));
    guarded(read, state, Action::ReadNodes)
        .merge(guarded(manage, state, Action::ManageNodes))
        .merge(open(audited(enroll, state, "enroll_node"), "the code is the credential"))
}

/// Routes of the nodes themselves.
fn node_routes(state: &AppState) -> Routes {
    let routes = Routes::new()
        .routes(routes!(relay::report))
        .routes(routes!(relay::orders))
        .routes(routes!(relay::claim))
        .routes(routes!(relay::events))
        .routes(routes!(relay::refuse))
        .routes(routes!(relay::answer_call));
    of_nodes(routes, state)
}

/// Returns the function's router.
pub fn router(state: AppState) -> Router {
    finish(routes(&state), state)
}
