//! What a request says of who may stand in for its model.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ApiError;

/// How many models a request may name to fall back to.
const MAX_FALLBACKS: usize = 16;

/// What to try when the first choice can't serve a request.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
#[serde(untagged, expecting = "expected false, or an object such as {\"models\": [\"tiny-chat\"]}")]
pub enum Fallback {
    /// `false`: nothing.
    None(bool),
    /// These.
    Models(FallbackModels),
}

/// Models to try, in this order.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FallbackModels {
    /// Their names, as in `model`.
    pub models: Vec<String>,
}

impl Fallback {
    /// The models.
    ///
    /// # Errors
    /// `invalid_request` for `true`, which names none, and for too many.
    pub(crate) fn into_models(self) -> Result<Vec<String>, ApiError> {
        match self {
            Self::None(false) => Ok(Vec::new()),
            Self::None(true) => Err(ApiError::invalid(
                "fallback",
                "fallback must be false or name models, as {\"models\": [...]}",
            )),
            Self::Models(FallbackModels { models }) if models.len() > MAX_FALLBACKS => {
                Err(ApiError::invalid(
                    "fallback.models",
                    format!("fallback.models takes at most {MAX_FALLBACKS}"),
                ))
            }
            Self::Models(FallbackModels { models }) => Ok(models),
        }
    }
}
