//! From a function's routes to a router with the shared layer around each.

use axum::{
    Router,
    extract::Request,
    response::{IntoResponse as _, Response},
    routing::any,
};
use hearth_domain::Scope;
use hearth_gateway::Gateway;
use hearth_wire::{ApiError, ErrorCode};
use http::{HeaderValue, header};
use tower::ServiceExt as _;
use utoipa_axum::router::OpenApiRouter;

use crate::{HttpError, auth::Guard, no_route::KnownRoutes, request_layer::RequestLayer};

/// What handlers have.
#[derive(Debug, Clone)]
pub struct AppState {
    /// The gateway.
    pub gateway: Gateway,
}

/// A function's routes, with their documentation.
pub type Routes = OpenApiRouter<AppState>;

/// Routes that only callers with `scope` may use. Called last: it covers the routes added before.
pub fn guarded(routes: Routes, state: &AppState, scope: Scope) -> Routes {
    routes.route_layer(Guard::new(state, scope))
}

/// The router of a function's `routes`, with the shared layer around each.
pub fn finish(routes: Routes, state: AppState) -> Router {
    finish_with(routes, state, RequestLayer::default())
}

/// The router of `routes`, with `layer` around each.
pub fn finish_with(routes: Routes, state: AppState, layer: RequestLayer) -> Router {
    let (router, api) = routes.split_for_parts();
    let known = KnownRoutes::new(api.paths.paths.into_keys());
    router
        .fallback(async move |request: Request| known.refuse(&request))
        .method_not_allowed_fallback(wrong_method)
        .with_state(state)
        .layer(layer)
}

/// What a connection above the server's limit is served: `/health` by `router`, and 503 for everything else.
pub fn overloaded(router: Router) -> Router {
    let refuse = async || {
        let message = "the gateway has as many connections as it takes; try again shortly";
        let close = [(header::CONNECTION, HeaderValue::from_static("close"))];
        (close, HttpError(ApiError::new(ErrorCode::Overloaded, message))).into_response()
    };
    Router::new()
        .fallback(refuse)
        .layer(RequestLayer::default())
        // Added after the layer: `router` has one of its own.
        .route("/health", any(move |request: Request| router.oneshot(request)))
}

/// 405, which the envelope's code can't say.
async fn wrong_method() -> Response {
    let message = "this route doesn't take this method; GET /openapi.json lists the routes";
    let mut response = HttpError(ApiError::new(ErrorCode::NotFound, message)).into_response();
    // axum adds `Allow`.
    *response.status_mut() = http::StatusCode::METHOD_NOT_ALLOWED;
    response
}

/// The answer of a route that stands for several, which take different methods: those in `allow`.
pub async fn method_not_allowed(allow: HeaderValue) -> Response {
    let mut response = wrong_method().await;
    response.headers_mut().insert(header::ALLOW, allow);
    response
}
