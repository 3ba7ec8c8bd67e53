//! From a function's routes to a router with the shared layers around it.

use std::any::Any;

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request},
    middleware,
    response::{IntoResponse as _, Response},
    routing::any,
};
use hearth_domain::Scope;
use hearth_gateway::Gateway;
use hearth_wire::{ApiError, ErrorCode};
use http::{HeaderValue, header};
use tower::ServiceExt as _;
use tower_http::{
    catch_panic::CatchPanicLayer,
    cors::{AllowHeaders, Any as AnyOrigin, CorsLayer},
};
use utoipa_axum::router::OpenApiRouter;

use crate::{
    HttpError, access_log, auth, dialect, extract::MAX_BODY, head, no_route::KnownRoutes, queue, request_id,
    unread,
};

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
    routes.route_layer(middleware::from_fn_with_state((state.clone(), scope), auth::require))
}

/// The router of `routes`, with ids, logs, errors, limits and CORS around it.
pub fn finish(routes: Routes, state: AppState) -> Router {
    let (router, api) = routes.split_for_parts();
    let known = KnownRoutes::new(api.paths.paths.into_keys());
    router
        .fallback(async move |request: Request| known.refuse(&request))
        .method_not_allowed_fallback(wrong_method)
        .with_state(state)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(cors())
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn(unread::layer))
        .layer(middleware::from_fn(access_log::layer))
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
        .layer(middleware::from_fn(access_log::layer))
        // Added after the layer: `router` has one of its own.
        .route("/health", any(move |request: Request| router.oneshot(request)))
}

/// Any page may call: what protects the API is the token, which no browser sends by itself.
fn cors() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(AnyOrigin)
        .allow_methods(AnyOrigin)
        // A wildcard would leave out `Authorization`.
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(
            [request_id::HEADER, dialect::REQUEST_ID, header::RETRY_AFTER, queue::PREFERENCE_APPLIED]
                .into_iter()
                .chain(head::ALL)
                .collect::<Vec<_>>(),
        )
        .max_age(std::time::Duration::from_secs(3600))
}

/// The envelope says what is wrong; the status stays 405.
async fn wrong_method() -> Response {
    let message = "this route doesn't take this method; GET /openapi.json lists the routes";
    let mut response = HttpError(ApiError::new(ErrorCode::NotFound, message)).into_response();
    // The envelope says what is wrong; the status stays 405. axum adds `Allow`.
    *response.status_mut() = http::StatusCode::METHOD_NOT_ALLOWED;
    response
}

/// The answer of a route that stands for several, which take different methods: those in `allow`.
pub async fn method_not_allowed(allow: HeaderValue) -> Response {
    let mut response = wrong_method().await;
    response.headers_mut().insert(header::ALLOW, allow);
    response
}

#[expect(clippy::needless_pass_by_value, reason = "the layer's signature")]
fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let text =
        panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    tracing::error!(panic = text, "a handler panicked");
    HttpError(ApiError::new(ErrorCode::Internal, "the gateway failed; its log says why")).into_response()
}
