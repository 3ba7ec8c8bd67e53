//! Errors of the engine.

use hearth_wire::{ApiError, ErrorCode};

/// Why a picture isn't made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PaintError {
    /// The run was cancelled between two steps.
    #[error("cancelled")]
    Cancelled,
    /// The request can't be carried out.
    #[error(transparent)]
    Refused(#[from] Box<ApiError>),
    /// The computation failed.
    #[error("the picture can't be computed: {0}")]
    Computation(#[from] candle_core::Error),
    /// The picture can't be encoded.
    #[error("the picture can't be encoded: {0}")]
    Encoding(#[from] image::ImageError),
}

impl PaintError {
    /// Refuses a field of the request.
    pub(crate) fn refused(field: &str, message: impl Into<String>) -> Self {
        Self::Refused(Box::new(ApiError::invalid(field, message)))
    }

    /// The error for the client.
    pub(crate) fn into_api_error(self) -> ApiError {
        match self {
            Self::Refused(error) => *error,
            Self::Cancelled => ApiError::new(ErrorCode::Cancelled, "the run was cancelled"),
            Self::Computation(error) => {
                tracing::error!(%error, "a picture can't be computed");
                let text = error.to_string().to_lowercase();
                let message = if text.contains("out of memory") || text.contains("out_of_memory") {
                    "the device has too little memory for a picture of this size; ask for a smaller one"
                } else {
                    "the picture can't be computed; the node's log has details"
                };
                ApiError::new(ErrorCode::ProviderError, message)
            }
            Self::Encoding(error) => {
                tracing::error!(%error, "a picture can't be encoded");
                ApiError::new(
                    ErrorCode::ProviderError,
                    "the picture can't be encoded; the node's log has details",
                )
            }
        }
    }
}
