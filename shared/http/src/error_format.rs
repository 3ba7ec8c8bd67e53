//! The error formats of the dialects.

/// Error format of a route.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum ErrorFormat {
    /// Error object of OpenAI's API, with fields of the gateway.
    #[default]
    OpenAi,
    /// Error object of Anthropic's API.
    Anthropic,
    /// Error object of Google's API.
    Gemini,
    /// Error text of Ollama's API.
    Ollama,
}
