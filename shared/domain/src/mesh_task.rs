//! Mesh generation tasks.

use serde::{Deserialize, Serialize};

use crate::{Image, InvalidTask, Mesh, check::Field};

/// Mesh generation task: from an image, a text or another mesh. The provider chooses absent parameters.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MeshTask {
    /// Description of the mesh.
    pub prompt: Option<String>,
    /// Image of the object.
    pub image: Option<Image>,
    /// Mesh to change.
    pub mesh: Option<Mesh>,
    /// Side length of the texture in pixels.
    pub texture_size: Option<u32>,
    /// Seed for reproducible results.
    pub seed: Option<u32>,
    /// Guidance scale: weight of the input.
    pub guidance: Option<f32>,
}

impl MeshTask {
    /// Checks everything that doesn't depend on the model.
    ///
    /// # Errors
    /// The first field at fault.
    pub fn check(&self) -> Result<(), InvalidTask> {
        let invalid = |field, problem: &str| {
            Err(InvalidTask { field: Field::Media(field), problem: problem.to_owned() })
        };
        let prompt = self.prompt.as_ref().is_some_and(|prompt| !prompt.trim().is_empty());
        if !prompt && self.image.is_none() && self.mesh.is_none() {
            return invalid("prompt", "must not be empty, or give an image or a mesh");
        }
        if self.texture_size.is_some_and(|side| ![512, 1024, 2048].contains(&side)) {
            return invalid("texture_size", "must be 512, 1024 or 2048");
        }
        if self.guidance.is_some_and(|guidance| !(0.0..=100.0).contains(&guidance)) {
            return invalid("guidance_scale", "must be 0 to 100");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mesh_needs_an_input() {
        let task = MeshTask { prompt: Some("a chair".into()), ..MeshTask::default() };
        assert_eq!(task.check(), Ok(()));
        assert!(MeshTask { prompt: Some(" ".into()), ..MeshTask::default() }.check().is_err());
        let image = Some(Image::at("data:image/png;base64,AA"));
        assert_eq!(MeshTask { image, ..MeshTask::default() }.check(), Ok(()));
        let mesh = Some(Mesh::Data("AA==".into()));
        assert_eq!(MeshTask { mesh, ..MeshTask::default() }.check(), Ok(()));
        assert!(MeshTask { texture_size: Some(3), ..task }.check().is_err());
    }
}
