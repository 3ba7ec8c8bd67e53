//! Meshes that a request gives.

use serde::{Deserialize, Serialize};

use crate::ArtifactId;

/// Media type of binary glTF.
pub const GLB: &str = "model/gltf-binary";

/// A mesh.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mesh {
    /// Mesh of an earlier run of the same user.
    Artifact(ArtifactId),
    /// A binary glTF, in base64 with padding.
    Data(String),
}

impl Mesh {
    /// The mesh of an artifact's id, or of the form `data:model/gltf-binary;base64,...`; none of another text.
    #[must_use]
    pub fn at(text: &str) -> Option<Self> {
        if let Ok(id) = text.parse() {
            return Some(Self::Artifact(id));
        }
        let (media_type, data) = text.strip_prefix("data:")?.split_once(";base64,")?;
        (media_type == GLB).then(|| Self::Data(data.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mesh_is_an_artifact_or_data() {
        let id = "art_01J9ZX5V2QH8N4T6W0C3M7K1RB";
        assert_eq!(Mesh::at(id), Some(Mesh::Artifact(id.parse().unwrap())));
        assert_eq!(Mesh::at("data:model/gltf-binary;base64,AAAA"), Some(Mesh::Data("AAAA".into())));
        for other in ["", "https://example.org/a.glb", "data:image/png;base64,AAAA", "art_1"] {
            assert_eq!(Mesh::at(other), None, "{other}");
        }
    }
}
