//! Stop texts of a request.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One stop text, or several.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
#[serde(untagged, expecting = "expected a string or a list of strings")]
pub enum Stop {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl From<Stop> for Vec<String> {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::One(text) => vec![text],
            Stop::Many(texts) => texts,
        }
    }
}
