//! Preferences of a user.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Modality;

/// Preferences of a user. A request's own choice has precedence over them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Preferences {
    /// The models that the user prefers where a request leaves the choice to the gateway.
    pub models: PreferredModels,
}

/// The preferred model of each modality: a model's id, `provider:model`, or an alias.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PreferredModels {
    /// For text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// For images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// For meshes.
    #[serde(rename = "3d", skip_serializing_if = "Option::is_none")]
    pub three_d: Option<String>,
    /// For embedding vectors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub embedding: Option<String>,
}

impl PreferredModels {
    /// The preferred model of a modality.
    #[must_use]
    pub fn of(&self, modality: Modality) -> Option<&str> {
        match modality {
            Modality::Text => self.text.as_deref(),
            Modality::Image => self.image.as_deref(),
            Modality::ThreeD => self.three_d.as_deref(),
            Modality::Embedding => self.embedding.as_deref(),
        }
    }

    /// The names of all of them, each with its field.
    pub fn named(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [Modality::Text, Modality::Image, Modality::ThreeD, Modality::Embedding]
            .into_iter()
            .filter_map(|modality| self.of(modality).map(|name| (modality.as_str(), name)))
    }
}
