//! The field `reasoning`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Reasoning options.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct ReasoningBody {
    /// Reasoning effort: `none`, `minimal`, `low`, `medium` or `high`.
    pub effort: Option<String>,
    /// `auto`, `concise` or `detailed`: return a summary of the reasoning. Absent: return the reasoning itself.
    pub summary: Option<String>,
}
