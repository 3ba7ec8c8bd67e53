//! Image models among the model files: safetensors files with all networks, folders of the library diffusers, and folders of
//! FLUX.1 with a file for each network.

use std::path::{Path, PathBuf};

use hearth_domain::Modality;
use hearth_worker::checkpoint::{
    Checkpoint, LONE_FLUX, MODEL_INDEX, NoCheckpoint, folder_files, is_flux_folder, other_models,
};

use super::{ModelFile, parts::Parts, undescribed};
use crate::gguf::{Header, Shape};

/// The architecture of GGUF files with a transformer of FLUX.1.
const FLUX: &str = "flux";
/// Architectures of GGUF files that are image models, by the names of their converters. None is a model by itself.
const IMAGE_ARCHITECTURES: [&str; 10] =
    ["aura", "chroma", "flux", "hidream", "lumina2", "qwen_image", "sd1", "sd3", "sdxl", "wan"];

/// Returns whether a path may be an image model.
pub(super) fn is_candidate(path: &Path) -> bool {
    if path.is_dir() {
        return path.join(MODEL_INDEX).is_file() || is_flux_folder(path);
    }
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("safetensors"))
}

/// The files of an image model's folder.
pub(super) fn files(folder: &Path) -> Vec<PathBuf> {
    folder_files(folder)
}

/// The models in an image model's folder that aren't a part of it.
pub(super) fn beside(folder: &Path) -> Vec<PathBuf> {
    if folder.join(MODEL_INDEX).is_file() { Vec::new() } else { other_models(folder) }
}

/// Describes the image model at `path`; `None` if it is something else, such as an adapter.
pub(super) fn describe(path: &Path, parts: &Parts) -> Option<ModelFile> {
    let mut file = undescribed(path, parts, Modality::Image);
    match Checkpoint::read(path) {
        Ok(checkpoint) => {
            file.description.architecture = Some(checkpoint.family.architecture().to_owned());
            file.description.version = checkpoint.precision;
            file.shape = Some(Shape { tensor_bytes: checkpoint.memory_bytes, ..Shape::default() });
        }
        Err(NoCheckpoint::Other) => return None,
        Err(NoCheckpoint::Unusable(problem)) => file.problem = file.problem.or(Some(problem)),
    }
    Some(file)
}

/// The problem of a GGUF file that is an image model.
pub(super) fn unsupported_gguf(header: &Header) -> Option<String> {
    let architecture = header.architecture().filter(|name| IMAGE_ARCHITECTURES.contains(name))?;
    if architecture == FLUX {
        return Some(LONE_FLUX.to_owned());
    }
    Some(format!(
        "it is an image model of the architecture {architecture:?} as GGUF, which no engine reads; use Stable Diffusion 1, 2 \
         or XL as safetensors, or FLUX.1"
    ))
}
