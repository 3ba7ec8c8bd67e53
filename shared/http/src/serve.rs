//! Routers of functions, with the shared layer around each route.

use axum::{
    Router,
    extract::Request,
    middleware,
    response::{IntoResponse as _, Response},
    routing::any,
};
use hearth_domain::Action;
use hearth_wire::{ApiError, ErrorCode};
use http::{HeaderValue, header};
use tower::ServiceExt as _;

use crate::{
    audit::{AuditLayer, AuditedRoutes, OperationSlot},
    auth::Guard,
    documented_routes::{RoutePermission, Routes},
    error::HttpError,
    late_answer::begin_late_answers,
    no_route::RouteTable,
    node_auth::require_node,
    request_layer::RequestLayer,
    state::AppState,
};

/// Requires the permission for `action` of the routes' callers. Called last: it covers the routes added before.
pub fn guarded(routes: Routes, state: &AppState, action: Action) -> Routes {
    let operations = OperationSlot::default();
    let audited = AuditedRoutes::guarded(state, action, operations.clone());
    let routes = routes.route_layer(Guard::new(state, action, audited)).awaiting(operations);
    routes.with_permission(RoutePermission::Guarded(action))
}

/// Records the changes and the refusals of routes without a guard in the audit log, under the name `action`: each request that
/// isn't a `GET` is a change. Called last, as [`guarded`] is.
pub fn audited(routes: Routes, state: &AppState, action: &'static str) -> Routes {
    let operations = OperationSlot::default();
    let layer = AuditLayer(AuditedRoutes::open(state, action, operations.clone()));
    routes.route_layer(layer).awaiting(operations)
}

/// Requires of the routes' requests that an enrolled node has signed them: handlers extract [`SignedNode`]. Called last, as
/// [`guarded`] is.
///
/// [`SignedNode`]: crate::SignedNode
pub fn of_nodes(routes: Routes, state: &AppState) -> Routes {
    let layer = middleware::from_fn_with_state(state.clone(), require_node);
    routes.route_layer(layer).with_permission(RoutePermission::Node)
}

/// Documents that the routes need no credential, for `reason`.
pub fn open(routes: Routes, reason: &'static str) -> Routes {
    routes.with_permission(RoutePermission::Open(reason))
}

/// Documents that the routes' handlers require the permission for `action` themselves, since some requests need none, for
/// `reason`.
pub fn guarded_by_handler(routes: Routes, action: Action, reason: &'static str) -> Routes {
    routes.with_permission(RoutePermission::InHandler(action, reason))
}

/// Creates the router of a function's `routes`, with the shared layer around each.
pub fn finish(routes: Routes, state: AppState) -> Router {
    let layer = RequestLayer::default().with_origins(state.gateway.cors_origins().listed());
    let layer = layer.with_wildcards(routes.wildcards());
    router(routes, state).layer(middleware::from_fn(begin_late_answers)).layer(layer)
}

/// Creates the router of `routes`, with `layer` around each.
pub fn finish_with(routes: Routes, state: AppState, layer: RequestLayer) -> Router {
    let layer = layer.with_origins(state.gateway.cors_origins().listed()).with_wildcards(routes.wildcards());
    router(routes, state).layer(layer)
}

fn router(routes: Routes, state: AppState) -> Router {
    let (router, documentation) = routes.into_parts();
    let table = RouteTable::new(move || documentation.build().paths.paths.into_keys().collect());
    router
        .fallback(async move |request: Request| table.refuse(&request))
        .method_not_allowed_fallback(wrong_method)
        .with_state(state)
}

/// Creates the router of connections above the server's limit: `/health` of `router`, and 503 for other paths.
pub fn overloaded(router: Router) -> Router {
    let refuse = async || {
        let message = "the gateway has reached its limit of connections; try again shortly";
        let close = [(header::CONNECTION, HeaderValue::from_static("close"))];
        (close, HttpError(ApiError::new(ErrorCode::Overloaded, message))).into_response()
    };
    Router::new()
        .fallback(refuse)
        .layer(RequestLayer::default())
        // Added after the layer: `router` has one of its own.
        .route("/health", any(move |request: Request| router.oneshot(request)))
}

/// Creates the response 405. axum adds `Allow`.
async fn wrong_method() -> Response {
    let message = "this route doesn't support this method; the header `allow` has those that it supports";
    HttpError(ApiError::new(ErrorCode::MethodNotAllowed, message)).into_response()
}

/// Creates the response 405 of a wildcard route, whose methods depend on the path: `allow` lists them.
pub async fn method_not_allowed(allow: HeaderValue) -> Response {
    let mut response = wrong_method().await;
    response.headers_mut().insert(header::ALLOW, allow);
    response
}
