//! Paths that no route has: what is answered, and what the log may show of them.
//!
//! The commonest mistake in setting up a client is its base URL: with `/v1` where the client adds it, without where it
//! doesn't, or with a piece of another server's. The answer names the route that was meant.

use std::sync::Arc;

use axum::{
    extract::Request,
    response::{IntoResponse as _, Response},
};
use hearth_wire::{ApiError, ErrorCode};

use crate::{HttpError, dialect, ollama_paths};

/// How much of a path is looked at, and logged.
const PATH_MAX_BYTES: usize = 200;
/// How many letters a mistyped path may differ from its route in.
const TYPO_MAX_EDITS: usize = 3;
/// A piece of a path that is longer may be a secret, and isn't logged.
const SEGMENT_MAX_BYTES: usize = 32;
/// What the routes of Gemini's methods begin with.
const GEMINI_METHODS: &str = "/v1beta/models/{model}:";
/// How secrets begin that may have been put into a path.
const SECRETS: [&str; 3] = ["hth_", "sk-", "Bearer"];

/// The routes that there are, as patterns.
#[derive(Debug, Clone)]
pub(crate) struct KnownRoutes(Arc<[String]>);

impl KnownRoutes {
    pub(crate) fn new(patterns: impl IntoIterator<Item = String>) -> Self {
        Self(patterns.into_iter().collect())
    }

    /// The answer to a request that no route takes.
    pub(crate) fn refuse(&self, request: &Request) -> Response {
        if let Some(error) = ollama_paths::refuse(request.uri().path()) {
            return dialect::in_ollamas_shape(HttpError(error).into_response());
        }
        let meant = self.meant(request.uri().path());
        let error = match &meant {
            Some(route) => {
                let message = format!(
                    "there is no such route; did you mean {route}? The base URL of OpenAI's clients ends with /v1, \
                     and that of Anthropic's and Google's has no /v1. GET /openapi.json lists the routes"
                );
                ApiError::new(ErrorCode::NotFound, message).with("did_you_mean", route.as_str())
            }
            None => {
                ApiError::new(ErrorCode::NotFound, "there is no such route; GET /openapi.json lists them")
            }
        };
        dialect::in_the_clients_shape(HttpError(error), request.headers())
    }

    /// The route that a path was meant for, if that can be told.
    fn meant(&self, path: &str) -> Option<String> {
        if path.len() > PATH_MAX_BYTES {
            return None;
        }
        let method = path.rsplit_once(':').map(|(_, method)| method);
        let is_method =
            |route: &&String| route.strip_prefix(GEMINI_METHODS).is_some_and(|name| Some(name) == method);
        if let Some(route) = self.0.iter().find(is_method) {
            return Some(route.clone());
        }
        let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
        if segments.is_empty() {
            return None;
        }
        // What remains of the path without another server's beginning, the longest first; with and without `/v1`.
        for from in 0..segments.len() {
            let rest = segments[from..].join("/");
            for candidate in [format!("/{rest}"), format!("/v1/{rest}")] {
                if candidate != path
                    && let Some(route) = self.0.iter().find(|route| matches(route, &candidate))
                {
                    return Some(route.clone());
                }
            }
        }
        let whole = format!("/{}", segments.join("/")).to_ascii_lowercase();
        let edits = |route: &&String| {
            let with_v1 = format!("/v1{whole}");
            strsim::levenshtein(&whole, route).min(strsim::levenshtein(&with_v1, route))
        };
        let plain = self.0.iter().filter(|route| !route.contains('{'));
        let (edits, nearest) = plain.map(|route| (edits(&route), route)).min_by_key(|(edits, _)| *edits)?;
        (edits <= TYPO_MAX_EDITS && edits * 4 <= whole.len()).then(|| nearest.clone())
    }
}

/// Whether a path is one of the route `pattern`. `{id}` stands for one segment or more.
fn matches(pattern: &str, path: &str) -> bool {
    let (mut pattern, mut path) = (pattern.split('/').peekable(), path.split('/').peekable());
    while let Some(expected) = pattern.next() {
        let Some(segment) = path.next() else { return false };
        if expected.starts_with('{') {
            if segment.is_empty() {
                return false;
            }
            if pattern.peek().is_none() {
                return true;
            }
        } else if expected != segment {
            return false;
        }
    }
    path.next().is_none()
}

/// A path that no route has, as the log may show it: bounded, and without what may be a secret.
pub(crate) fn loggable(path: &str) -> String {
    let shown = |segment: &str| {
        let secret =
            segment.len() > SEGMENT_MAX_BYTES || SECRETS.iter().any(|start| segment.starts_with(start));
        match secret {
            true => "***".to_owned(),
            false => segment.chars().map(|c| if c.is_ascii_graphic() { c } else { '?' }).collect(),
        }
    };
    let mut log = path.split('/').map(shown).collect::<Vec<String>>().join("/");
    if log.len() > PATH_MAX_BYTES {
        log.truncate(PATH_MAX_BYTES);
        log.push_str("...");
    }
    log
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes() -> KnownRoutes {
        let routes = [
            "/health",
            "/v1/chat/completions",
            "/v1/completions",
            "/v1/embeddings",
            "/v1/messages",
            "/v1/models",
            "/v1/models/{id}",
            "/v1/responses",
            "/v1/responses/{id}",
            "/openapi.json",
            "/v1beta/models/{model}:generateContent",
        ];
        KnownRoutes::new(routes.map(str::to_owned))
    }

    #[test]
    fn the_route_that_was_meant_is_named() {
        let cases = [
            ("/chat/completions", Some("/v1/chat/completions")),
            ("/v1/v1/messages", Some("/v1/messages")),
            ("/v1//messages", Some("/v1/messages")),
            ("/v1/messages/", Some("/v1/messages")),
            ("/api/v1/models", Some("/v1/models")),
            ("/openai/deployments/x/chat/completions", Some("/v1/chat/completions")),
            ("/models/tiny-chat", Some("/v1/models/{id}")),
            ("/v1/health", Some("/health")),
            ("/v1/chat/completion", Some("/v1/chat/completions")),
            ("/v1/embedding", Some("/v1/embeddings")),
            ("/V1/Messages", Some("/v1/messages")),
            ("/", None),
            ("/models/a:b:generateContent", Some("/v1beta/models/{model}:generateContent")),
            ("/v1/v1beta/models/a:generateContent", Some("/v1beta/models/{model}:generateContent")),
            ("/favicon.ico", None),
            ("/wp-login.php", None),
        ];
        for (path, meant) in cases {
            assert_eq!(routes().meant(path).as_deref(), meant, "{path}");
        }
        assert_eq!(routes().meant(&"/v1/messages".repeat(20)), None);
    }

    #[test]
    fn a_logged_path_is_bounded_and_has_no_secrets() {
        assert_eq!(loggable("/chat/completions"), "/chat/completions");
        assert_eq!(loggable("/v1/hth_abc/sk-123/ok"), "/v1/***/***/ok");
        assert_eq!(loggable(&format!("/{}", "a".repeat(33))), "/***");
        assert_eq!(loggable("/a\u{1b}[31m/\u{e9}"), "/a?[31m/?");
        assert_eq!(loggable(&"/abc".repeat(200)).len(), PATH_MAX_BYTES + 3);
    }
}
