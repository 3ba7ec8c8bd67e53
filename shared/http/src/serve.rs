//! From a function's routes to a router with the shared layers around it.

use std::any::Any;

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request},
    middleware,
    response::{IntoResponse as _, Response},
};
use hearth_domain::Scope;
use hearth_gateway::Gateway;
use hearth_wire::{ApiError, ErrorCode};
use http::header;
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
    *response.status_mut() = http::StatusCode::METHOD_NOT_ALLOWED;
    response
}

#[expect(clippy::needless_pass_by_value, reason = "the layer's signature")]
fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let text =
        panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    tracing::error!(panic = text, "a handler panicked");
    HttpError(ApiError::new(ErrorCode::Internal, "the gateway failed; its log says why")).into_response()
}
