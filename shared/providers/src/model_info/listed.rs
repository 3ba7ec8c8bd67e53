//! A model as its provider lists it.

use hearth_settings::ModelOverride;
use serde::{Deserialize, Serialize};

/// A model that a provider lists.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ListedModel {
    /// The provider's name for it.
    pub id: String,
    /// Time since which the provider has it, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<i64>,
    /// The facts that the list has of it. The stored lists name this field `told`.
    #[serde(rename = "told", default, skip_serializing_if = "is_empty")]
    pub info: ModelOverride,
}

impl ListedModel {
    /// Returns whether the list has more of the model than its name.
    #[must_use]
    pub fn has_info(&self) -> bool {
        !is_empty(&self.info)
    }
}

fn is_empty(info: &ModelOverride) -> bool {
    *info == ModelOverride::default()
}
