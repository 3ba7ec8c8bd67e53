//! Meshes to make.

use serde::{Deserialize, Serialize};

use crate::{Image, InvalidTask, Mesh, check::Field};

/// A mesh to make, of an image, of a text or of another mesh. What is absent is left to the provider.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MeshTask {
    /// What it shows.
    pub prompt: Option<String>,
    /// A picture of it.
    pub image: Option<Image>,
    /// Another mesh, to change.
    pub mesh: Option<Mesh>,
    /// The side of its texture, in pixels.
    pub texture_size: Option<u32>,
    /// Makes the choice repeatable.
    pub seed: Option<u32>,
    /// How closely the model keeps to what it is given.
    pub guidance: Option<f32>,
}

impl MeshTask {
    /// Checks what can be checked without knowing the model.
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
    fn a_mesh_is_made_of_something() {
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
