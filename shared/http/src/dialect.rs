//! Routes whose dialect has errors of its own shape.

use axum::{extract::Request, middleware, middleware::Next, response::Response};
use http::HeaderName;

use crate::{RequestId, Routes};

/// The header in which Anthropic's SDKs look for the request's id.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");

/// The shape of a route's errors.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum ErrorShape {
    /// The gateway's own, which OpenAI's SDKs read too.
    #[default]
    Own,
    /// Anthropic's.
    Anthropic,
}

/// Routes that answer as Anthropic's do: their errors have its shape, whoever refuses the request, and the
/// request's id is where its SDKs look for it. Called last: it covers the guard too.
pub fn anthropic(routes: Routes) -> Routes {
    routes.route_layer(middleware::from_fn(as_anthropic))
}

async fn as_anthropic(request: Request, next: Next) -> Response {
    let id = request.extensions().get::<RequestId>().copied();
    let mut response = next.run(request).await;
    response.extensions_mut().insert(ErrorShape::Anthropic);
    if let Some(value) = id.and_then(RequestId::header) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}
