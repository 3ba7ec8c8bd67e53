//! Paths of Ollama's API that the gateway has no route for: what to do instead, in Ollama's shape of errors.

use hearth_wire::{ApiError, ErrorCode};

/// How the paths of Ollama's API begin.
const PREFIX: &str = "/api/";

/// Beginnings of paths, and what to do instead.
const INSTEAD: [(&str, &str); 7] = [
    ("create", "models aren't made through this API; put a GGUF file into the node's model folder"),
    ("blobs", "files aren't uploaded through this API; put a GGUF file into the node's model folder"),
    ("copy", "models aren't copied through this API; an alias in the settings gives a model another name"),
    ("push", "models aren't published through this API"),
    ("me", "there are no accounts of Ollama's here; a token is made with `hearth token create`"),
    ("signout", "there are no accounts of Ollama's here; a token is revoked with `hearth token revoke`"),
    ("status", "there is no cloud of Ollama's behind this API; GET /ready says how the gateway is"),
];

/// The error of a path that only Ollama's clients ask for, if it is one.
pub(crate) fn refuse(path: &str) -> Option<ApiError> {
    let name = path.strip_prefix(PREFIX)?.split('/').next()?;
    let (_, instead) = INSTEAD.iter().find(|(known, _)| *known == name)?;
    Some(ApiError::new(ErrorCode::NotFound, *instead))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_offered_says_what_to_do_instead() {
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
