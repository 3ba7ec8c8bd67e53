//! Checkpoints of image models: their files, and the family that their tensors belong to.
//!
//! The node lists them by [`Checkpoint::read`], which reads headers only; the engine loads the tensors by the same data.

mod flux;
mod folder;
mod part_header;
mod safetensors;

use std::path::{Path, PathBuf};

pub use part_header::PartHeader;
pub use safetensors::{SafetensorsError, SafetensorsHeader, StoredTensor};

/// The file that makes a folder a pipeline of the library diffusers.
pub const MODEL_INDEX: &str = "model_index.json";

/// A family of image models, which have the same networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageFamily {
    /// Stable Diffusion 1: a text encoder of 768 numbers a token.
    Sd1,
    /// Stable Diffusion 2: OpenCLIP's text encoder.
    Sd2,
    /// Stable Diffusion XL: two text encoders, and the size as a condition.
    Sdxl,
    /// FLUX.1 schnell: few steps, without guidance.
    FluxSchnell,
    /// FLUX.1 dev: the guidance is an input of its transformer.
    FluxDev,
}

impl ImageFamily {
    /// The name in lists of models.
    #[must_use]
    pub fn architecture(self) -> &'static str {
        match self {
            Self::Sd1 => "stable-diffusion-1",
            Self::Sd2 => "stable-diffusion-2",
            Self::Sdxl => "stable-diffusion-xl",
            Self::FluxSchnell => "flux-1-schnell",
            Self::FluxDev => "flux-1-dev",
        }
    }

    /// Side of the square for which the family was trained, in pixels.
    #[must_use]
    pub fn default_side(self) -> u32 {
        match self {
            Self::Sd1 => 512,
            Self::Sd2 => 768,
            Self::Sdxl | Self::FluxSchnell | Self::FluxDev => 1024,
        }
    }

    /// Returns whether it is FLUX.1.
    #[must_use]
    pub fn is_flux(self) -> bool {
        matches!(self, Self::FluxSchnell | Self::FluxDev)
    }
}

/// The layout of a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Layout {
    /// One file with all networks, by the names of the original programs.
    SingleFile(PathBuf),
    /// A folder of the library diffusers, with a folder for each network.
    Folder(PathBuf),
    /// A folder of FLUX.1, with a file for each network.
    Flux(FluxParts),
}

/// The files of a FLUX.1 model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FluxParts {
    /// The transformer, by the names of Black Forest Labs.
    pub transformer: PathBuf,
    /// The encoder of T5: GGUF by the names of llama.cpp, or safetensors by those of transformers.
    pub t5: PathBuf,
    /// CLIP-L's text encoder.
    pub clip: PathBuf,
    /// The autoencoder.
    pub autoencoder: PathBuf,
    /// T5's `tokenizer.json`; `None` for a T5 as GGUF, which has its tokenizer inside.
    pub tokenizer: Option<PathBuf>,
}

/// A checkpoint that an engine can load, by its headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The family.
    pub family: ImageFamily,
    /// The layout.
    pub layout: Layout,
    /// The files, with those of configurations and vocabularies.
    pub files: Vec<PathBuf>,
    /// Number of weights of all networks.
    pub weights: u64,
    /// Bytes of the weights in memory on the processor.
    pub memory_bytes: u64,
    /// The type of most weights, such as `F16`.
    pub precision: Option<String>,
}

/// A reason why a path is no checkpoint that an engine can load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoCheckpoint {
    /// It is something else, such as an adapter or a language model: it isn't listed.
    Other,
    /// It is an image model that can't be used, with the reason.
    Unusable(String),
}

impl Checkpoint {
    /// Reads the headers of the checkpoint at `path`: a file, a folder with `model_index.json`, or one with the networks of
    /// FLUX.1.
    ///
    /// # Errors
    /// If it is something else, or damaged, or of a family that the engine doesn't have.
    pub fn read(path: &Path) -> Result<Self, NoCheckpoint> {
        match path.is_dir() {
            true if path.join(MODEL_INDEX).is_file() => folder::read(path),
            true => flux::read(path),
            false => single_file(path),
        }
    }
}

/// Bytes of a weight in memory on the processor, for families whose networks compute with `f32`.
const WEIGHT_BYTES: u64 = 4;
/// The problem of a transformer of FLUX.1 without its other networks.
pub const LONE_FLUX: &str = "it is the transformer of FLUX.1 alone; put it into a folder of the model folder, with the text encoders \
    T5 and CLIP-L and the autoencoder (docs/images.md)";

/// Prefixes of the networks in a file of all networks.
pub mod prefixes {
    /// The denoising network.
    pub const UNET: &str = "model.diffusion_model.";
    /// The autoencoder.
    pub const VAE: &str = "first_stage_model.";
    /// The text encoder of Stable Diffusion 1.
    pub const TEXT: &str = "cond_stage_model.transformer.";
    /// The text encoder of Stable Diffusion 2, which is OpenCLIP's.
    pub const OPEN_TEXT: &str = "cond_stage_model.model.";
    /// The first text encoder of Stable Diffusion XL.
    pub const TEXT_1: &str = "conditioner.embedders.0.transformer.";
    /// The second text encoder of Stable Diffusion XL, which is OpenCLIP's.
    pub const TEXT_2: &str = "conditioner.embedders.1.model.";
}

/// Returns the file with the weights of `network`, such as `unet`, in a folder of diffusers.
#[must_use]
pub fn weights_of(folder: &Path, network: &str) -> Option<PathBuf> {
    folder::weights_of(folder, network)
}

/// Returns whether a folder has the networks of FLUX.1, or a part of them. It reads the beginnings of the folder's files only.
#[must_use]
pub fn is_flux_folder(folder: &Path) -> bool {
    flux::is_folder(folder)
}

/// The GGUF files in a folder of FLUX.1 that don't belong to its model: models of their own.
#[must_use]
pub fn other_models(folder: &Path) -> Vec<PathBuf> {
    flux::other_models(folder)
}

/// Returns the prefix of a transformer's tensors in a file with this header; `None` for a file without a transformer of
/// FLUX.1.
#[must_use]
pub fn flux_transformer_prefix(header: &PartHeader) -> Option<&'static str> {
    flux::transformer_prefix(header)
}

/// The files of an image model's folder that the engine may read.
#[must_use]
pub fn folder_files(folder: &Path) -> Vec<PathBuf> {
    if folder.join(MODEL_INDEX).is_file() { folder::files(folder) } else { flux::files(folder) }
}

fn single_file(path: &Path) -> Result<Checkpoint, NoCheckpoint> {
    let header = match SafetensorsHeader::read(path) {
        Ok(header) => header,
        Err(error) => return Err(NoCheckpoint::Unusable(error.to_string())),
    };
    let has = |prefix: &str| header.has_prefix(prefix);
    if has("double_blocks.0.img_mod.") || has("model.diffusion_model.double_blocks.0.img_mod.") {
        return Err(NoCheckpoint::Unusable(LONE_FLUX.to_owned()));
    }
    if !has(prefixes::UNET) {
        return Err(NoCheckpoint::Other);
    }
    let unusable = |reason: &str| Err(NoCheckpoint::Unusable(reason.to_owned()));
    if !has("model.diffusion_model.input_blocks.") {
        return unusable(
            "it is an image model of a family that the engine doesn't have; it has Stable Diffusion 1, 2, XL \
             and FLUX.1",
        );
    }
    let family = match () {
        () if has(prefixes::TEXT_1) && has(prefixes::TEXT_2) => ImageFamily::Sdxl,
        () if has(prefixes::TEXT) => ImageFamily::Sd1,
        () if has(prefixes::OPEN_TEXT) => {
            return unusable(
                "a single file of Stable Diffusion 2 doesn't say how it was trained; use the model's folder for \
                 diffusers",
            );
        }
        () => {
            return unusable(
                "it has no text encoder: it is a part of an image model, or a refiner; use a file with all networks",
            );
        }
    };
    if !has(prefixes::VAE) {
        return unusable("it has no autoencoder (VAE); use a file with all networks");
    }
    Ok(Checkpoint {
        family,
        layout: Layout::SingleFile(path.to_owned()),
        files: vec![path.to_owned()],
        weights: header.weights(),
        memory_bytes: header.weights().saturating_mul(WEIGHT_BYTES),
        precision: header.precision().map(str::to_owned),
    })
}

#[cfg(test)]
mod tests;
