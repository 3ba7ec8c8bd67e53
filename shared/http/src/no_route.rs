//! Requests to paths without a route: the response, and the redacted path for the log.
//!
//! The commonest mistake in setting up a client is its base URL: with `/v1` where the client adds it, without it where the
//! client doesn't, or with a part of another server's. The error suggests the route that was probably meant.

use std::sync::{Arc, LazyLock};

use axum::{
    extract::Request,
    response::{IntoResponse as _, Response},
};
use hearth_wire::{ApiError, ErrorCode};

use crate::{dialect, error::HttpError, ollama_paths};

/// Longest path that is compared with the routes, and longest text of one in the log.
const PATH_MAX_BYTES: usize = 200;
/// Most edits between a mistyped path and the route that is suggested.
const TYPO_MAX_EDITS: usize = 3;
/// Longest segment of a path in the log: a longer one may be a secret.
const SEGMENT_MAX_BYTES: usize = 32;
/// Prefix of the routes of Gemini's methods.
const GEMINI_METHODS: &str = "/v1beta/models/{model}:";
/// Prefixes of secrets that may stand in a path by mistake.
const SECRET_PREFIXES: [&str; 14] = [
    "hth_", "hak_", "hrt_", "hinv_", "hreset_", "hboot_", "sk-", "Bearer", "gsk_", "hf_", "AIza", "ghp_",
    "xai-", "eyJ",
];

/// Patterns of all routes, read from the documentation at the first request without a route.
#[derive(Debug, Clone)]
pub(crate) struct RouteTable(Arc<LazyLock<Vec<String>, ReadPatterns>>);

/// Function that reads the patterns from the documentation.
type ReadPatterns = Box<dyn FnOnce() -> Vec<String> + Send>;

impl RouteTable {
    pub(crate) fn new(patterns: impl FnOnce() -> Vec<String> + Send + 'static) -> Self {
        Self(Arc::new(LazyLock::new(Box::new(patterns))))
    }

    /// Creates the response to a request without a route.
    pub(crate) fn refuse(&self, request: &Request) -> Response {
        if let Some(error) = ollama_paths::refuse(request.uri().path()) {
            return dialect::with_ollama_errors(HttpError(error).into_response());
        }
        let error = match self.suggest(request.uri().path()) {
            Some(route) => {
                let message = format!(
                    "there is no such route; did you mean {route}? The base URL of OpenAI's clients ends with /v1, \
                     and that of Anthropic's and Google's has no /v1. GET /openapi.json lists the routes"
                );
                ApiError::new(ErrorCode::NotFound, message).with("did_you_mean", route)
            }
            None => {
                ApiError::new(ErrorCode::NotFound, "there is no such route; GET /openapi.json lists them")
            }
        };
        dialect::in_client_format(HttpError(error), request.headers())
    }

    /// Suggests a route for a path: one that the path contains, or one that differs in a few letters.
    fn suggest(&self, path: &str) -> Option<String> {
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
        // The path without the prefix of another server, the longest remainder first; with and without `/v1`.
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

/// Returns whether a path matches the route `pattern`. A last `{id}` stands for one or more segments.
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

/// Returns whether a text begins as secrets do.
pub(crate) fn may_be_secret(text: &str) -> bool {
    SECRET_PREFIXES.iter().any(|start| text.starts_with(start))
}

/// Returns a path for the log: bounded, and without segments that may be secrets.
pub(crate) fn loggable(path: &str) -> String {
    let shown = |segment: &str| {
        let secret = segment.len() > SEGMENT_MAX_BYTES || may_be_secret(segment);
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

    fn routes() -> RouteTable {
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
        RouteTable::new(move || routes.map(str::to_owned).into())
    }

    #[test]
    fn similar_route_is_suggested() {
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
        for (path, route) in cases {
            assert_eq!(routes().suggest(path).as_deref(), route, "{path}");
        }
        assert_eq!(routes().suggest(&"/v1/messages".repeat(20)), None);
    }

    #[test]
    fn logged_path_is_bounded_and_has_no_secrets() {
        assert_eq!(loggable("/chat/completions"), "/chat/completions");
        assert_eq!(loggable("/v1/hth_abc/sk-123/ok"), "/v1/***/***/ok");
        assert_eq!(loggable(&format!("/{}", "a".repeat(33))), "/***");
        assert_eq!(loggable("/a\u{1b}[31m/\u{e9}"), "/a?[31m/?");
        assert_eq!(loggable(&"/abc".repeat(200)).len(), PATH_MAX_BYTES + 3);
    }
}
