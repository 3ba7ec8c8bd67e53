//! Image models among the model files: safetensors files with all networks, and folders of the library diffusers.

use std::path::{Path, PathBuf};

use hearth_domain::Modality;
use hearth_worker::checkpoint::{Checkpoint, MODEL_INDEX, NoCheckpoint, folder_files};

use super::{ModelFile, parts::Parts, undescribed};
use crate::gguf::{Header, Shape};

/// Bytes of a weight in memory: the engine computes with `f32` on the processor.
const WEIGHT_BYTES: u64 = 4;
/// Architectures of GGUF files that are image models, by the names of their converters. The engine reads none of them.
const IMAGE_ARCHITECTURES: [&str; 10] =
    ["aura", "chroma", "flux", "hidream", "lumina2", "qwen_image", "sd1", "sd3", "sdxl", "wan"];

/// Returns whether a path may be an image model.
pub(super) fn is_candidate(path: &Path) -> bool {
    path.join(MODEL_INDEX).is_file()
        || path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("safetensors"))
            && !path.is_dir()
}

/// The files of an image model's folder.
pub(super) fn files(folder: &Path) -> Vec<PathBuf> {
    folder_files(folder)
}

/// Describes the image model at `path`; `None` if it is something else, such as an adapter.
pub(super) fn describe(path: &Path, parts: &Parts) -> Option<ModelFile> {
    let mut file = undescribed(path, parts, Modality::Image);
    match Checkpoint::read(path) {
        Ok(checkpoint) => {
            file.description.architecture = Some(checkpoint.family.architecture().to_owned());
            file.description.version = checkpoint.precision;
            let tensor_bytes = checkpoint.weights.saturating_mul(WEIGHT_BYTES);
            file.shape = Some(Shape { tensor_bytes, ..Shape::default() });
        }
        Err(NoCheckpoint::Other) => return None,
        Err(NoCheckpoint::Unusable(problem)) => file.problem = file.problem.or(Some(problem)),
    }
    Some(file)
}

/// The problem of a GGUF file that is an image model.
pub(super) fn unsupported_gguf(header: &Header) -> Option<String> {
    let architecture = header.architecture().filter(|name| IMAGE_ARCHITECTURES.contains(name))?;
    Some(format!(
        "it is an image model of the architecture {architecture:?} as GGUF, which no engine reads; use Stable Diffusion 1, 2 \
         or XL as safetensors"
    ))
}
