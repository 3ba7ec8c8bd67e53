//! The flags of pictures.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use hearth_domain::{Modality, Size, artifact::media_type_of};
use hearth_wire::native::{artifacts::ArtifactBody, request::Parameters};

use crate::{client::gateway_client::GatewayClient, commands::files::save_artifact};

/// Flags of a picture; each of them asks for one.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Pictures")]
pub(crate) struct Picture {
    /// Make a picture
    #[arg(long)]
    image: bool,
    /// Width and height in pixels, such as 1024x768
    #[arg(long, value_name = "SIZE")]
    size: Option<Size>,
    /// Number of pictures
    #[arg(long, value_name = "COUNT")]
    count: Option<u32>,
    /// Steps of the model: more take longer, and show more detail
    #[arg(long, value_name = "COUNT")]
    steps: Option<u32>,
    /// Weight of the prompt
    #[arg(long, value_name = "NUMBER")]
    guidance: Option<f32>,
    /// Description of things that the picture must not show
    #[arg(long, value_name = "TEXT")]
    negative: Option<String>,
    /// A picture to change
    #[arg(long, value_name = "FILE")]
    input: Vec<PathBuf>,
    /// Share of the picture to change, 0 to 1
    #[arg(long, value_name = "NUMBER", requires = "input")]
    strength: Option<f32>,
    /// Write the picture to this file; several get numbers
    #[arg(long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
}

impl Picture {
    /// The modality of the request, if a flag decides it.
    pub(super) fn modality(&self) -> Option<Modality> {
        let is_set = self.image
            || self.size.is_some()
            || self.count.is_some()
            || self.steps.is_some()
            || self.guidance.is_some()
            || self.negative.is_some()
            || self.strength.is_some()
            || self.output.is_some();
        is_set.then_some(Modality::Image)
    }

    /// The parameters of the request.
    pub(super) fn parameters(&self) -> Parameters {
        Parameters {
            size: self.size.map(|Size { width, height }| format!("{width}x{height}")),
            n: self.count,
            steps: self.steps,
            guidance_scale: self.guidance,
            negative_prompt: self.negative.clone(),
            strength: self.strength,
            ..Parameters::default()
        }
    }

    /// The input pictures as data URLs.
    ///
    /// # Errors
    /// If a file can't be read or isn't a picture.
    pub(super) fn images(&self) -> anyhow::Result<Vec<String>> {
        let read = |path: &PathBuf| {
            let bytes = fs::read(path).with_context(|| format!("{} can't be read", path.display()))?;
            let media_type = media_type_of(&bytes).filter(|media_type| media_type.starts_with("image/"));
            let media_type = media_type.with_context(|| format!("{} is no picture", path.display()))?;
            Ok(format!("data:{media_type};base64,{}", STANDARD.encode(bytes)))
        };
        self.input.iter().map(read).collect()
    }
}

/// Writes the artifacts of an answer to files: the first to `output`, the others to names with numbers.
///
/// # Errors
/// If the answer has none, or a file exists or can't be written.
pub(super) async fn save(
    gateway: &GatewayClient,
    artifacts: &[ArtifactBody],
    output: &Path,
) -> anyhow::Result<()> {
    anyhow::ensure!(!artifacts.is_empty(), "the answer has no picture");
    for (index, artifact) in artifacts.iter().enumerate() {
        save_artifact(gateway, &artifact.id, &numbered(output, index)).await?;
    }
    Ok(())
}

/// `fox.png`, `fox-2.png`, and so on.
fn numbered(output: &Path, index: usize) -> PathBuf {
    if index == 0 {
        return output.to_owned();
    }
    let stem = output.file_stem().unwrap_or_default().to_string_lossy();
    let extension = output.extension().map(|extension| format!(".{}", extension.to_string_lossy()));
    output.with_file_name(format!("{stem}-{}{}", index + 1, extension.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn further_pictures_get_numbers() {
        let names = [0, 1, 2].map(|index| numbered(Path::new("a/fox.png"), index));
        assert_eq!(names, ["a/fox.png", "a/fox-2.png", "a/fox-3.png"].map(PathBuf::from));
        assert_eq!(numbered(Path::new("fox"), 1), Path::new("fox-2"));
    }

    #[test]
    fn flags_of_pictures_ask_for_one() {
        assert_eq!(Picture::default().modality(), None);
        let sized = Picture { size: Some(Size { width: 64, height: 32 }), ..Picture::default() };
        assert_eq!(sized.modality(), Some(Modality::Image));
        assert_eq!(sized.parameters().size.as_deref(), Some("64x32"));
    }

    #[test]
    fn input_that_is_no_picture_is_refused_with_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("notes.txt");
        fs::write(&file, "no picture").unwrap();
        let picture = Picture { input: vec![file], ..Picture::default() };
        assert!(picture.images().unwrap_err().to_string().contains("notes.txt"));
    }
}
