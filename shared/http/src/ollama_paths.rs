//! Errors for paths of Ollama's API that the gateway has no route for. They name the alternative.

use hearth_wire::{ApiError, ErrorCode};

/// Prefix of the paths of Ollama's API.
const PREFIX: &str = "/api/";

/// First segments of paths, and the alternative of each.
const ALTERNATIVES: [(&str, &str); 7] = [
    ("create", "models aren't created through this API; put a GGUF file into the node's model folder"),
    ("blobs", "files aren't uploaded through this API; put a GGUF file into the node's model folder"),
    ("copy", "models aren't copied through this API; an alias in the settings gives a model another name"),
    ("push", "models aren't published through this API"),
    ("me", "there are no Ollama accounts here; a token is created with `hearth token create`"),
    ("signout", "there are no Ollama accounts here; a token is revoked with `hearth token revoke`"),
    ("status", "there is no cloud of Ollama's behind this API; GET /ready says how the gateway is"),
];

/// Returns the error of a path that only Ollama's clients request.
pub(crate) fn refuse(path: &str) -> Option<ApiError> {
    let name = path.strip_prefix(PREFIX)?.split('/').next()?;
    let (_, alternative) = ALTERNATIVES.iter().find(|(segment, _)| *segment == name)?;
    Some(ApiError::new(ErrorCode::NotFound, *alternative))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsupported_path_is_refused_with_an_alternative() {
        for path in ["/api/create", "/api/blobs/sha256:abc", "/api/copy"] {
            let error = refuse(path).unwrap();
            assert_eq!(error.code, ErrorCode::NotFound);
            assert!(error.message.contains("through this API"), "{path}: {}", error.message);
        }
        for path in ["/api/v1/models", "/api/chat/completions", "/api", "/v1/copy"] {
            assert_eq!(refuse(path), None, "{path}");
        }
    }
}
