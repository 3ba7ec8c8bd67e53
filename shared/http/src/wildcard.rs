//! Methods of the paths that one wildcard route matches. axum knows those of the route alone, and would list all of them in `allow`.

use axum::extract::{MatchedPath, Request};
use http::HeaderValue;

/// Start of the segment of a wildcard.
const WILDCARD: &str = "{*";

/// Wildcard route whose methods depend on the path.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WildcardMethods {
    /// The route, such as `/v1/models/{*path}`.
    pub(crate) route: &'static str,
    /// Returns the methods of the part of a path that the wildcard matches, separated by commas.
    pub(crate) methods: fn(&str) -> &'static str,
}

/// Returns the methods of a request's path, if one of `wildcards` matches it.
pub(crate) fn allowed(wildcards: &[WildcardMethods], request: &Request) -> Option<HeaderValue> {
    let matched = request.extensions().get::<MatchedPath>()?.as_str();
    let wildcard = wildcards.iter().find(|wildcard| wildcard.route == matched)?;
    let (before, _) = wildcard.route.split_once(WILDCARD)?;
    let path = request.uri().path().strip_prefix(before)?;
    Some(HeaderValue::from_static((wildcard.methods)(path)))
}
