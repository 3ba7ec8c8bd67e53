//! Paths below `/v1/models/`, and their methods. A model's id may have slashes, so the end of a path tells them apart.

use axum::{http::HeaderValue, response::Response};
use hearth_http::{PathParam, serve::method_not_allowed};

/// Route of all paths below `/v1/models`.
pub(crate) const WILDCARD: &str = "/v1/models/{*path}";
/// Methods of a model's own path.
const MODEL_METHODS: &str = "GET, HEAD, PATCH, DELETE";

/// Responds 405 with the methods of the path.
pub(crate) async fn wrong_method(PathParam(path): PathParam<String>) -> Response {
    method_not_allowed(HeaderValue::from_static(methods(&path))).await
}

/// True for the path of a model itself.
pub(super) fn is_model_path(path: &str) -> bool {
    methods(path) == MODEL_METHODS
}

/// Returns the methods of a path.
pub(crate) fn methods(path: &str) -> &'static str {
    if path.ends_with("/load") || path.ends_with("/unload") {
        "POST"
    } else if path.ends_with("/schema") {
        "GET, HEAD, PUT"
    } else if path == "loaded" || path.ends_with("/status") || path.ends_with("/schema/versions") {
        "GET, HEAD"
    } else {
        MODEL_METHODS
    }
}
